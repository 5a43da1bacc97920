// One judge grades pairs of a query and a document, by keys alone. What is graded is on disk before
// the next pair is shown.

import { byId, el, redraw, show } from "../shared/dom.js";
import { decimal, number } from "../shared/format.js";
import { offerLanguage, t, translateDocument } from "../shared/texts.js";

const KEY = "dateline-judge-key";
const state = { graded: [], at: 0, meanings: {}, shown: 0 };

/** The key of the address that the command printed; it is taken out of the bar and the history. */
function judgeKey() {
  const told = new URLSearchParams(location.hash.slice(1)).get("key");
  if (told) {
    sessionStorage.setItem(KEY, told);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem(KEY) || "";
}

const key = judgeKey();

async function asked(path, method = "GET", body = undefined) {
  const headers = { "x-judge-key": key };
  if (body) headers["content-type"] = "application/json";
  const answer = await fetch(`judging${path}`, { method, headers, body: body && JSON.stringify(body) });
  if (answer.ok) return answer.json();
  const told = await answer.json().catch(() => ({}));
  throw new Error(told.error?.message || told.detail || t("The service answered {status}.", { status: answer.status }));
}

/** Runs a step; what fails is said, and nothing else changes. */
async function step(work) {
  try {
    await work();
    show(byId("problem"), false);
  } catch (error) {
    const lost = error instanceof TypeError ? t("The command has ended. Everything graded is kept; start it again.") : error.message;
    byId("problem").textContent = lost;
    show(byId("problem"), true);
  }
}

function documentNodes({ headline, about, text }) {
  const paragraphs = text.split(/\n{2,}/).map((part) => el("p", {}, part));
  return [el("h3", {}, headline || t("(no headline)")), el("p", { class: "line" }, about), ...paragraphs];
}

function drawQuery(text) {
  byId("query").textContent = text;
  show(byId("query"), true); // an empty heading is none
}

function drawGrades(given) {
  const buttons = Object.entries(state.meanings).reverse().map(([grade, meaning]) =>
    el("button", { type: "button", class: "grade", "data-keep": grade, "aria-pressed": String(Number(grade) === given), onclick: () => give(Number(grade)) },
      el("b", {}, grade), el("span", {}, t(meaning))));
  redraw(byId("grades"), buttons, byId("document"));
}

async function go(to) {
  const drawn = ++state.shown;
  state.at = Math.max(0, Math.min(state.graded.length - 1, to));
  const pair = await asked(`/pairs/${state.at}`);
  if (drawn !== state.shown) return; // the judge has moved on meanwhile
  byId("unit").textContent = t("Pair {number} of {count}", { number: number(state.at + 1), count: number(state.graded.length) });
  drawQuery(pair.query);
  byId("others").textContent = pair.others.length ? t("The judges gave {grades}.", { grades: pair.others.join(t(" and ")) }) : "";
  show(byId("others"), pair.others.length > 0);
  byId("document").replaceChildren(...documentNodes(pair.document));
  byId("document").scrollTop = 0;
  byId("note").value = "";
  drawGrades(pair.grade);
  drawSoFar();
}

function drawSoFar() {
  const done = state.graded.filter(Boolean).length;
  byId("so-far").textContent = t("{done} of {count} graded", { done: number(done), count: number(state.graded.length) });
}

/** The next pair without a grade, after this one first. */
function open() {
  const after = state.graded.indexOf(false, state.at + 1);
  return after >= 0 ? after : state.graded.indexOf(false);
}

async function give(grade) {
  await step(async () => {
    const at = state.at;
    await asked(`/pairs/${at}`, "PUT", { grade, note: byId("note").value });
    state.graded[at] = grade !== null;
    if (grade === null) return go(at);
    const next = open();
    if (next < 0) { await go(at); return end(); }
    await go(next);
  });
}

async function end() {
  const { pairs, alpha, same } = await asked("/agreement");
  const agree = pairs
    ? t("{pairs} pairs have several judges: ordinal alpha {alpha}, {same} % of the grades are the same.", { pairs: number(pairs), alpha: alpha === null ? t("is not defined") : decimal(alpha), same: Math.round(same * 100) })
    : t("No pair has a second judge yet. A second judge starts the same command with another name.");
  byId("ended").replaceChildren(
    el("h2", {}, t("Everything here has a grade.")),
    el("p", {}, agree),
    el("p", {}, t("You can go back with ← and change a grade. To end, close this page and press Ctrl-C in the terminal.")),
  );
  show(byId("ended"), true);
}

const KEYS = {
  ArrowLeft: () => go(state.at - 1),
  ArrowRight: () => go(state.at + 1),
  u: () => (open() >= 0 ? go(open()) : end()),
  Backspace: () => give(null),
  n: () => byId("note").focus(),
};

function listen() {
  document.addEventListener("keydown", (event) => {
    if (event.metaKey || event.ctrlKey || event.altKey) return;
    if (event.target === byId("note")) {
      if (event.key === "Escape" || event.key === "Enter") byId("document").focus();
      return;
    }
    const act = event.key in state.meanings ? () => give(Number(event.key)) : KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    step(async () => act());
  });
}

translateDocument();
offerLanguage(byId("language-button"));
document.title = `${t("Judge")} – Dateline`;
await step(async () => {
  const told = await asked("");
  Object.assign(state, { graded: told.graded, meanings: told.meanings });
  byId("title").textContent = t(told.adjudicates ? "{judge} decides where judges differ in {set}" : "{judge} judges {set}", told);
  byId("guideline").textContent = told.guideline.split("\n\n").map((part) => t(part.trim())).join("\n\n");
  byId("judging").removeAttribute("aria-busy");
  listen();
  if (!state.graded.length) {
    drawQuery(t(told.adjudicates ? "No judges differ." : "There is nothing to grade."));
    return;
  }
  await go(Math.max(0, state.graded.indexOf(false)));
  if (open() < 0) await end();
});
