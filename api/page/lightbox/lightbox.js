// The lightbox: one picture, film or sound of an answer at a time, with what an editor needs beside it.
// Arrows go to the next one, space plays or magnifies, Escape closes.

import { used } from "../shared/client.js";
import { byId, el, unmarked } from "../shared/dom.js";
import { time, undescribed } from "../shared/format.js";
import { badge, liveMark } from "../search/hits.js";
import { characterKeys } from "../shared/keys.js";
import { film, isPlayable, machineCaption, moment, ours, shotButton, still } from "./media.js";
import { placeholder } from "./pictures.js";
import { SHAPES, cropMarks } from "./crops.js";
import { askLicence, creditOf, largest, licence, renditionList, sizeOf } from "./licence.js";
import { t } from "../shared/texts.js";

const KINDS = ["picture", "graphic", "video", "audio"];
let open = null; // { hits, at, actions, shot, crop, mark, back }

const dialog = () => byId("lightbox");
const current = () => open.hits[open.at];
const saying = (item) => item.description_caption || item.description_summary || "";
const titleOf = (item) => unmarked(item.headline) || saying(item) || (item.machine_caption || {}).text || undescribed(item);
const stillOf = ({ meta, item }, name) => (name === "thumbnail" && meta.shot && meta.shot.thumbnail) || ours(item, name) || ours(item, "thumbnail");

/** Whether an item is something to look at. */
export const isMedia = (item) => KINDS.includes(item.type);

/** Opens the lightbox at one of the answer's hits; null if it is a text. */
export function look(hits, uri, actions, shot = undefined) {
  const media = hits.filter(({ item }) => isMedia(item));
  const at = media.findIndex(({ item }) => item.uri === uri);
  if (at < 0) return false;
  used(uri, "click");
  open = { hits: media, at, actions, shot: shot === undefined ? moment(media[at].meta) : shot, crop: -1, back: document.activeElement };
  draw();
  if (!dialog().open) dialog().showModal();
  stage().focus();
  return true;
}

const stage = () => dialog().querySelector(".look-stage");
const player = () => dialog().querySelector("video, audio");

function leave() {
  const node = player();
  if (!node) return;
  node.pause();
  node.removeAttribute("src");
  node.load();
}

/** The loader of the answer's next page, if there is one. */
const following = () => open.actions.following?.();

/** Goes to another place in the answer, on its next pages too; its ends hold. */
async function go(to) {
  while (open && to >= open.hits.length && following()) {
    const found = await following()();
    if (open) open.hits = [...open.hits, ...found.filter(({ item }) => isMedia(item))];
  }
  if (!open) return; // closed meanwhile
  const next = Math.min(open.hits.length - 1, Math.max(0, to));
  if (next === open.at) return;
  leave();
  open = { ...open, at: next, shot: moment(open.hits[next].meta), crop: -1 };
  draw();
  stage().focus();
}

function playShot(shot) {
  leave();
  open = { ...open, shot };
  draw();
  stage().focus();
}

/** Space: plays or pauses a film, and magnifies a picture. */
function act() {
  const node = player();
  if (node) { if (node.paused) node.play().catch(() => {}); else node.pause(); return; }
  const image = stage().querySelector("img");
  if (!image) return;
  const near = stage().classList.toggle("near");
  const whole = near && ours(current().item, "main"); // the file itself has more to see
  if (whole) image.src = whole;
}

/** Marks the next shape, then none. */
function nextCrop() {
  open.crop = open.crop + 1 < SHAPES.length ? open.crop + 1 : -1;
  leave();
  draw();
  stage().focus();
}

const KEYS = {
  ArrowRight: () => go(open.at + 1), ArrowLeft: () => go(open.at - 1),
  Home: () => go(0), End: () => go(open.hits.length - 1), " ": act,
};
const LETTERS = {
  j: () => go(open.at + 1), k: () => go(open.at - 1), d: () => askLicence(current().item, current().meta),
  b: () => open.actions.keep(current().item, open.actions), c: () => (current().item.type === "picture" ? nextCrop() : null),
  s: () => readStory(),
};

function readStory() {
  const { actions } = open;
  const { item, meta } = current();
  dialog().close();
  actions.open(item.uri, meta);
}

/** Answers the keys; those of a control in the lightbox stay the control's own. */
export function listenToLightbox() {
  dialog().addEventListener("keydown", (event) => {
    if (event.metaKey || event.ctrlKey || event.altKey || event.target.matches("select, input")) return;
    const press = KEYS[event.key] || (characterKeys() && LETTERS[event.key]);
    if (!press || (event.key === " " && event.target.matches("button, a, summary, video, audio"))) return;
    event.preventDefault();
    press();
  });
  dialog().addEventListener("close", () => {
    leave();
    const { back } = open;
    const { item } = current();
    dialog().replaceChildren();
    open = null;
    const hit = byId("results").querySelector(`.hit[data-uri="${CSS.escape(item.uri)}"] a.headline`);
    (hit || back)?.focus();
  });
}

function picture(hit) {
  const { item } = hit;
  const href = stillOf(hit, "preview");
  if (!href) return el("div", { class: "look-drawn" }, placeholder(item), el("p", {}, t("A stand-in: the picture itself is not in this service.")));
  const image = still(href, saying(item) || titleOf(item), item);
  const frame = el("div", { class: "look-frame" }, image);
  const size = largest(item);
  if (open.crop >= 0 && size) {
    const marks = cropMarks(image, size, SHAPES[open.crop], (text) => { dialog().querySelector(".crop-told").textContent = text; });
    frame.append(marks.frame);
    open.mark = marks.draw;
  }
  return frame;
}

function cropButtons(item) {
  const size = largest(item);
  if (item.type !== "picture" || !size || !ours(item, "preview")) return null;
  const choose = (number) => { open.crop = open.crop === number ? -1 : number; draw(); dialog().querySelectorAll(".crops button")[number].focus(); };
  return el("section", { class: "crops", "aria-label": t("Crop marks") }, el("h3", {}, t("Crop marks")),
    el("p", {}, SHAPES.map(([name], number) => el("button", { type: "button", "aria-pressed": String(open.crop === number), onclick: () => choose(number) }, name))),
    el("p", { class: "crop-told", role: "status" }));
}

function shotStrip(item, shot) {
  const shots = item.shots || current().meta.film_strip || [];
  if (shots.length < 2) return null;
  return el("ol", { class: "strip", "aria-label": t("Shots") }, shots.map((one) => el("li", {},
    shotButton(item, one, Boolean(shot) && one.number === shot.number, () => playShot(one)))));
}

function facts(item) {
  const rows = [[t("Date"), time(item.versioncreated)], [t("Place"), item.located],
    [t("Size"), sizeOf(largest(item) || {})], ...licence(item).filter(([name]) => name !== t("Products"))];
  return el("dl", { class: "look-facts" }, rows.filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

function actionsOf({ item, meta }) {
  const { actions } = open;
  const button = (key, text, press) => el("button", { type: "button", onclick: press, "aria-keyshortcuts": key }, text, el("kbd", { "aria-hidden": "true" }, key));
  return el("p", { class: "look-actions" },
    button("b", t("Basket"), () => actions.keep(item, actions)),
    button("d", t("Download"), () => askLicence(item, meta)),
    button("s", t("Story"), readStory));
}

function side(hit) {
  const { item } = hit;
  const caption = saying(item);
  return el("aside", { class: "look-side", "aria-label": t("About this item") },
    el("p", { class: "kicker" }, badge(item), liveMark(hit.meta.live), creditOf(item) && el("span", {}, creditOf(item))),
    el("h2", { id: "lightbox-title", dir: "auto" }, titleOf(item)),
    caption && caption !== titleOf(item) && el("p", { class: "look-caption", dir: "auto" }, caption),
    machineCaption(item),
    actionsOf(hit), cropButtons(item), facts(item),
    renditionList(item) && el("section", {}, el("h3", {}, t("Renditions")), renditionList(item)));
}

/** The answer as a row of small pictures. */
function row() {
  const nodes = open.hits.map((hit, number) => {
    const href = stillOf(hit, "thumbnail");
    const inner = href ? still(href, "", hit.item) : placeholder(hit.item);
    return el("li", {}, el("button", { type: "button", "aria-label": `${number + 1}: ${titleOf(hit.item)}`, "aria-current": number === open.at ? "true" : null, tabindex: number === open.at ? "0" : "-1", onclick: () => go(number) }, inner));
  });
  return el("ol", { class: "look-row", "aria-label": t("The answer's pictures") }, nodes);
}

function draw() {
  open.mark = null;
  const hit = current();
  const { item } = hit;
  const { shot } = open;
  const media = isPlayable(item) ? film(item, shot, true) : picture(hit);
  dialog().replaceChildren(
    el("header", { class: "look-head" },
      el("p", { role: "status" }, t("{number} of {count}", { number: open.at + 1, count: `${open.hits.length}${following() ? "+" : ""}` }), shot?.number && ` · ${t("Shot {number}", { number: shot.number })}, ${shot.timecode}`),
      el("p", { class: "look-keys wide-only" }, t("← → next · space plays or magnifies · Esc closes")),
      el("button", { type: "button", class: "close", "aria-label": t("Close the lightbox"), onclick: () => dialog().close() }, "×")),
    el("div", { class: "look-stage", tabindex: "-1" },
      el("button", { type: "button", class: "look-step", "aria-label": t("Previous"), disabled: open.at === 0, onclick: () => go(open.at - 1) }, "‹"),
      media,
      el("button", { type: "button", class: "look-step", "aria-label": t("Next"), disabled: open.at === open.hits.length - 1 && !following(), onclick: () => go(open.at + 1) }, "›")),
    side(hit),
    el("footer", { class: "look-foot" }, shotStrip(item, shot), open.hits.length > 1 && row()));
  open.mark?.();
  dialog().querySelector(".look-row [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  dialog().querySelector(".strip .current")?.scrollIntoView({ block: "nearest", inline: "nearest" });
}
