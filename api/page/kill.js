// The kill, in the demo: a story leaves every surface at once, and the kill can be undone.

import { setStatus } from "./client.js";
import { byId, el, motionReduced, show } from "./dom.js";

const TRIES = 6;

/** Makes the function that kills an item: `answer` asks the page's question again, `failed` shows an error. */
export const killing = ({ answer, failed }) => async (item) => {
  const name = item.headline || item.uri;
  try {
    await setStatus(item.uri, "canceled");
  } catch (error) {
    failed(error);
    return;
  }
  await Promise.all(hitsOf(item.uri).map(vanish));
  await answer();
  toast(`Killed: “${name}”. It is gone from hits, totals, filters and links.`, ["Undo", async () => {
    await setStatus(item.uri, "usable");
    await answerUntil(item.uri, answer);
    toast(`“${name}” is back.`);
  }], failed);
};

const hitsOf = (uri) => [...byId("results").querySelectorAll(`.hit[data-uri="${CSS.escape(uri)}"]`)];

/** Asks again until the item is among the hits: an item is hidden at once, but found by words within a second. */
async function answerUntil(uri, answer) {
  for (let tries = 0; tries < TRIES; tries += 1) {
    await answer();
    if (hitsOf(uri).length) return;
    await new Promise((done) => setTimeout(done, 250));
  }
}

async function vanish(node) {
  if (motionReduced()) return;
  node.classList.add("killed");
  node.style.height = `${node.offsetHeight}px`;
  await new Promise((done) => setTimeout(done, 450));
  const folded = { height: "0px", opacity: 0, paddingTop: "0px", paddingBottom: "0px" };
  await node.animate([{}, folded], { duration: 280, easing: "ease-in", fill: "forwards" }).finished;
}

let toastTimer = 0;
function toast(text, [action, run] = [], failed = null) {
  const box = byId("toast");
  clearTimeout(toastTimer);
  const press = () => { show(box, false); run().catch(failed); };
  box.replaceChildren(el("span", {}, text), action ? el("button", { type: "button", onclick: press }, action) : "");
  show(box, true);
  toastTimer = setTimeout(() => show(box, false), 15000);
}
