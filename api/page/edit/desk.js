// The desk on the page: kill, withhold, embargo and correct, their undo, and the log of what was done.
// Nothing asks before it acts: what follows is shown, and each undo is another audited change.

import { correct, deskLog, deskLook, setStatus } from "../shared/client.js";
import { t } from "../shared/texts.js";
import { toast } from "../shared/toast.js";
import { byId, el, motionReduced, show } from "../shared/dom.js";
import { time } from "../shared/format.js";
import { CHANGES, hidingOf, undoLabel, undoOf } from "./actions.js";
import { correctionForm, embargoForm, textsOf } from "./forms.js";
import { whatIsHidden, whatWasDone, whoIsTold } from "./told.js";

const TRIES = 6;
const hitsOf = (uri) => [...byId("results").querySelectorAll(`[data-uri="${CSS.escape(uri)}"]`)].map((node) => node.closest(".hit") || node);

async function vanish(node, word) {
  if (motionReduced()) return;
  node.classList.add("killed");
  node.dataset.done = word;
  node.style.height = `${node.offsetHeight}px`;
  await new Promise((done) => setTimeout(done, 450));
  const folded = { height: "0px", opacity: 0, paddingTop: "0px", paddingBottom: "0px" };
  await node.animate([{}, folded], { duration: 280, easing: "ease-in", fill: "forwards" }).finished;
}

const button = (label, onclick, more = {}) => el("button", { type: "button", class: "desk-button", onclick, ...more }, label);

/** Makes the desk. `answer` asks the page's question again, `failed` shows an error there, `open` and
 * `close` the story's panel; `titleOf` is the headline of an item, if the page has shown it. */
export function makeDesk({ answer, failed, open, close, titleOf }) {
  const caught = (act) => () => act().catch(failed);

  /** Asks again until the item is among the hits: it is hidden at once, but found by words within a second. */
  async function answerUntil(uri) {
    for (let tries = 0; tries < TRIES; tries += 1) {
      await answer();
      if (hitsOf(uri).length) return;
      await new Promise((done) => setTimeout(done, 250));
    }
  }

  /** Does it, and lets the item vanish from the answer. */
  async function hide(uri, name, { change = CHANGES[name].change, reason = "" } = {}) {
    await setStatus(uri, { ...change, reason });
    await Promise.all(hitsOf(uri).map((node) => vanish(node, t(CHANGES[name].done))));
    await answer();
  }

  /** Undoes it; `changed` is called once that is in force, before the message, which an open panel would keep. */
  async function undo(uri, name, { log = [], reason = "", changed = () => {} } = {}) {
    const change = undoOf(name, log);
    await setStatus(uri, { ...change, reason });
    changed();
    if (change.pubstatus === "withheld") {
      toast(t("“{title}” is withheld again.", { title: titleOf(uri) }));
      return;
    }
    await answerUntil(uri);
    toast(t("“{title}” is back.", { title: titleOf(uri) }));
  }

  /** A kill from a hit: nothing is asked, and what follows is one step away. */
  async function kill(item) {
    try {
      await hide(item.uri, "kill");
    } catch (error) { failed(error); return; }
    toast(t("Killed: “{title}”. It is gone from hits, totals, filters and links.", { title: titleOf(item.uri) }),
      [t("Undo"), caught(() => undo(item.uri, "kill"))], [t("Who is told"), caught(() => showHidden(item.uri))]);
  }

  // --- in the panel

  const reasonField = () => el("input", { type: "text", maxlength: 500, class: "reason", placeholder: t("It may follow later"), onkeydown: (event) => { if (event.key === "Enter") event.preventDefault(); } });
  const reasonLabel = (field, ...more) => el("div", { class: "reason-line" }, el("label", {}, t("Reason, for the audit log"), " ", field), ...more);

  /** Runs an action of the panel; an error is shown there, because the panel covers the page. */
  const guarded = (box, act) => async () => {
    try {
      await act();
    } catch (error) {
      box.replaceChildren(el("b", {}, error.message), " ", error.mend || "");
      show(box, true);
    }
  };

  /** Beside the actions: what the service tells of the item. */
  const beside = (look, isHidden) => [whoIsTold(look, isHidden), whatIsHidden(look, isHidden, titleOf),
    el("section", { class: "done" }, el("h4", {}, t("What was done")), whatWasDone(look.log))];

  /** The same for an item that is shown, once the service has answered. */
  function looks(uri) {
    const box = el("div", { class: "desk-looks", "aria-live": "polite" });
    deskLook(uri).then((look) => box.replaceChildren(...beside(look, false)))
      .catch((error) => box.replaceChildren(el("p", { class: "told-sum" }, error.message, " ", error.mend || "")));
    return box;
  }

  function toggledForm(label, make, slot) {
    const toggle = button(label, () => {
      const isOpen = toggle.getAttribute("aria-expanded") === "true";
      for (const other of toggle.parentElement.querySelectorAll("[aria-expanded]")) other.setAttribute("aria-expanded", "false");
      toggle.setAttribute("aria-expanded", String(!isOpen));
      slot.replaceChildren(...(isOpen ? [] : [make()]));
      slot.querySelector("input, textarea")?.focus();
    }, { "aria-expanded": "false" });
    return toggle;
  }

  async function corrected(item, body) {
    const done = await correct(item.uri, body);
    const [{ version }] = done.data.items;
    const old = textsOf(item);
    const back = Object.fromEntries(Object.keys(body).filter((name) => name in old).map((name) => [name, old[name]]));
    await answer();
    await open(item.uri, undefined, "compared");
    toast(t("Corrected: it is version {number} now.", { number: version }), [t("Undo"), caught(async () => {
      await correct(item.uri, { ...back, version, reason: t("Undo of version {number}", { number: version }) });
      await answer();
      if (byId("panel").open) await open(item.uri, undefined, "compared");
    })]);
  }

  /** The desk's part of a story's panel. */
  function section(item) {
    const problem = el("p", { class: "desk-problem", role: "alert", hidden: true });
    const reason = reasonField();
    const slot = el("div", {});
    const act = (name, change) => guarded(problem, async () => {
      await hide(item.uri, name, { change, reason: reason.value });
      await showHidden(item.uri);
    });
    return el("section", { class: "desk", "aria-labelledby": "desk-title" },
      el("h3", { id: "desk-title" }, t("Desk")),
      el("div", { class: "desk-actions", role: "group", "aria-label": t("Change this item") },
        button(t("Kill"), act("kill"), { class: "desk-button desk-kill", "aria-label": t("Kill this story") }), button(t("Withhold"), act("withhold")),
        toggledForm(t("Embargo"), () => embargoForm((change) => act("embargo", change)()), slot),
        toggledForm(t("Correct"), () => correctionForm(item, (body) => guarded(problem, () => corrected(item, body))()), slot)),
      problem, slot, reasonLabel(reason), looks(item.uri));
  }

  /** The other items of the story, which may have to go, too. */
  function others(look, problem) {
    const uris = [...new Set(look.story.filter((one) => one.shown).map((one) => one.uri))];
    if (!uris.length) return null;
    const killed = (some) => guarded(problem, async () => {
      for (const uri of some) await hide(uri, "kill");
      await showHidden(look.uri);
    });
    return el("section", { class: "others" }, el("h4", {}, t("The story's other items are still shown")),
      el("ul", {}, uris.map((uri) => el("li", {}, el("span", {}, titleOf(uri)), button(t("Kill"), killed([uri]), { class: "desk-button desk-kill", "aria-label": t("Kill: {title}", { title: titleOf(uri) }) })))),
      uris.length > 1 && button(t("Kill all {number}", { number: uris.length }), killed(uris), { class: "desk-button desk-kill" }));
  }

  function hiddenBody(look, hiding) {
    const problem = el("p", { class: "desk-problem", role: "alert", hidden: true });
    const reason = reasonField();
    const again = (change) => guarded(problem, async () => { await setStatus(look.uri, { ...change, reason: reason.value }); await answer(); await showHidden(look.uri); });
    const undone = guarded(problem, () => undo(look.uri, hiding, { log: look.log, reason: reason.value, changed: close }));
    const same = hiding === "embargo" ? { embargoed: look.until } : CHANGES[hiding].change;
    return el("div", { class: "panel-body" },
      el("p", { class: `stamp stamp-${hiding}` }, t(CHANGES[hiding].done), look.until && hiding === "embargo" ? [" ", t("until"), " ", time(look.until)] : ""),
      el("h2", { id: "panel-title", dir: "auto", tabindex: "-1" }, titleOf(look.uri)),
      el("section", { class: "desk", "aria-labelledby": "desk-title" }, el("h3", { id: "desk-title" }, t("Desk")),
        el("div", { class: "desk-actions", role: "group", "aria-label": t("Change this item") },
          button(undoLabel(hiding, look.log), undone, { class: "desk-button desk-undo" }),
          hiding !== "kill" && button(t("Kill"), again(CHANGES.kill.change), { class: "desk-button desk-kill" }),
          hiding === "kill" && button(t("Withhold instead"), again(CHANGES.withhold.change))),
        problem, reasonLabel(reason, button(t("Add the reason"), again(same))), others(look, problem),
        el("div", { class: "desk-looks" }, beside(look, true))));
  }

  const head = (text) => el("header", { class: "panel-head" }, el("p", { class: "kicker" }, text),
    el("button", { type: "button", class: "close", "aria-label": t("Close"), onclick: close }, "×"));

  function fill(...nodes) {
    const panel = byId("panel");
    panel.replaceChildren(...nodes);
    panel.classList.remove("wide");
    if (!panel.open) panel.showModal();
    panel.scrollTop = 0;
    byId("panel-title").focus();
  }

  /** The panel of an item that is hidden; false if the desk can't see it. */
  async function showHidden(uri) {
    let look;
    try {
      look = await deskLook(uri);
    } catch (error) {
      if (error.status === 404) return false;
      fill(head(t("Desk")), el("div", { class: "panel-body" }, el("h2", { id: "panel-title", tabindex: "-1" }, titleOf(uri)), el("p", {}, error.message, " ", error.mend)));
      return true;
    }
    const hiding = hidingOf(look.state);
    if (hiding) fill(head(t("Desk")), hiddenBody(look, hiding));
    else if (look.state === "usable") await open(uri);
    else return false;
    return true;
  }

  /** What was done lately, each with a way to the item and its undo. */
  async function showLog() {
    const entries = await deskLog();
    const item = ({ uri }) => el("button", { type: "button", class: "plain", onclick: () => showHidden(uri).then((done) => done || open(uri)) }, titleOf(uri));
    fill(head(t("Desk")), el("div", { class: "panel-body" },
      el("h2", { id: "panel-title", tabindex: "-1" }, t("What the desk did")),
      entries.length ? el("section", { class: "desk-log" }, whatWasDone(entries, item)) : el("p", {}, t("Nothing was killed, withheld or corrected yet."))));
  }

  return { kill, section, showHidden, showLog };
}
