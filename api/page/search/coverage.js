// Coverage like this: a text or a picture that is dropped on the page, pasted, or chosen as a file.

import { byId, show } from "../shared/dom.js";
import { begun } from "./pasted.js";

const MOST_PICTURE = 16 * 2 ** 20; // bytes that the service takes
const isPicture = (file) => file.type.startsWith("image/");
const isText = (file) => file.type.startsWith("text/") || /\.(txt|md|xml|html?|json)$/i.test(file.name);

/** Asks with what a reader gives: `found.text`, or `found.picture`. */
async function take(data, { text, picture, refused }) {
  const [file] = [...(data.files || [])].filter((one) => isPicture(one) || isText(one));
  if (file && isPicture(file)) {
    if (file.size > MOST_PICTURE) refused("large"); else picture(file);
  } else if (file) text(begun(await file.text()));
  else if (data.files?.length) refused("kind");
  else {
    const dropped = (data.getData?.("text/plain") || "").trim();
    if (dropped) text(begun(dropped));
  }
}

const carries = (event) => [...event.dataTransfer.types].some((type) => type === "Files" || type === "text/plain");

/** Listens for drops anywhere on the page, for pictures that are pasted, and for the button of files. */
export function listenToCoverage(asks) {
  const veil = byId("drop");
  let within = 0; // dragenter and dragleave come for every node
  const hide = () => { within = 0; show(veil, false); };
  document.addEventListener("dragenter", (event) => { if (carries(event) && !document.querySelector("dialog[open]")) { within += 1; show(veil, true); } });
  document.addEventListener("dragleave", () => { within -= 1; if (within <= 0) hide(); });
  document.addEventListener("dragover", (event) => { if (carries(event)) event.preventDefault(); });
  document.addEventListener("drop", (event) => {
    hide();
    if (event.target.matches("input, textarea") && !event.dataTransfer.files.length) return; // a word that is moved into the field
    event.preventDefault();
    take(event.dataTransfer, asks);
  });
  byId("q").addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files || [])].filter(isPicture);
    if (!files.length) return;
    event.preventDefault();
    take({ files }, asks);
  });
  byId("coverage-file").addEventListener("change", (event) => { take({ files: event.target.files }, asks); event.target.value = ""; });
  byId("coverage-button").addEventListener("click", () => byId("coverage-file").click());
}
