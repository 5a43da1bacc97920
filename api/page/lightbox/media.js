// Pictures, shots and films: thumbnails, the film strip, and a player that opens at a shot.

import { t } from "../shared/texts.js";
import { byId, el, marked, unmarked } from "../shared/dom.js";
import { placeholder } from "./pictures.js";
import { similarLink } from "../search/similar.js";

const MEDIA = new URL("v1/media/", document.baseURI).pathname;
const renditions = (item) => item.renditions || {};
export const ours = (item, name) => {
  const { href } = renditions(item)[name] || {};
  return typeof href === "string" && href.startsWith(MEDIA) ? href : ""; // addresses on other hosts are not loaded
};
const saying = (item) => item.description_caption || (item.machine_caption || {}).text || item.headline || "";
/** Seconds as minutes and seconds, with hours where there are some. */
export const clock = (seconds) => {
  const whole = Math.floor(seconds);
  const rest = [Math.floor(whole / 60) % 60, whole % 60].map((part) => String(part).padStart(2, "0")).join(":");
  return whole >= 3600 ? `${Math.floor(whole / 3600)}:${rest}` : rest;
};

/** An image that a drawing replaces if it can't be loaded any more. */
export function still(href, text, item, size) {
  const image = el("img", { class: "still", src: href, alt: text, loading: "lazy", decoding: "async", ...size });
  image.addEventListener("error", () => {
    const drawn = placeholder(item);
    if (drawn) image.replaceWith(drawn);
  }, { once: true });
  return image;
}

/** The picture of a hit: its shot's still or its thumbnail, as a button that plays it, or looks at it. */
export function thumbnail(result, look) {
  const { meta, item } = result;
  const href = (meta.shot && meta.shot.thumbnail) || ours(item, "thumbnail");
  const image = href ? still(href, saying(item), item) : placeholder(item);
  if (!image) return null;
  if (!isPlayable(item)) {
    const label = t("Look at {name}", { name: unmarked(item.headline) || item.uri });
    return look ? el("button", { type: "button", class: "look", "aria-label": label, onclick: () => look(item.uri) }, image) : image;
  }
  const at = moment(meta);
  return el("button", { type: "button", class: "play", "aria-label": playLabel(item, at), onclick: () => play(item, at) },
    image, el("span", { class: "play-mark", "aria-hidden": "true" }, "▶"),
    at && el("span", { class: "play-time", "aria-hidden": "true" }, clock(at.start_s)));
}

/** Where the player opens at a hit: its shot, or the line of what is said or seen, to the end of the shot. */
export function moment(meta) {
  const { opens_at: at, shot } = meta || {};
  if (!at || at.field === "shots") return shot;
  return { number: shot?.number, start_s: at.second, end_s: shot?.end_s > at.second ? shot.end_s : undefined,
    timecode: at.timecode, description: at.text, made_by: at.made_by };
}

export const isPlayable = (item) => ["video", "audio"].includes(item.type) && Boolean(ours(item, "main"));
const playLabel = (item, shot) => shot ? t("Play {name} from {time}", { name: unmarked(item.headline) || t("the video"), time: clock(shot.start_s) }) : t("Play {name}", { name: unmarked(item.headline) || t("the video") });

/** A shot's still as a button that plays it. */
export function shotButton(item, shot, current, press = () => play(item, shot)) {
  const picture = shot.thumbnail ? still(shot.thumbnail, shot.description, item) : el("span", { class: "still" });
  const inner = [picture, el("span", { class: "shot-time" }, clock(shot.start_s))];
  const about = { class: current ? "shot current" : "shot", title: shotTitle(shot), "aria-current": current ? "true" : null };
  if (!isPlayable(item)) return el("span", about, inner);
  return el("button", { type: "button", ...about, "aria-label": t("Play shot {number}, {time}: {text}", { number: shot.number, time: clock(shot.start_s), text: shot.description || t("not described") }), onclick: press }, inner);
}

const shotTitle = (shot) => [shot.timecode, shot.description, shot.made_by && t("machine-made by {name}", { name: shot.made_by })].filter(Boolean).join("\n");

/** The shots around the answering one, as a film strip. */
export function filmStrip({ meta, item }) {
  const shots = meta.film_strip || [];
  if (!isPlayable(item) && !shots.some((shot) => shot.thumbnail)) return null;
  const number = meta.shot ? meta.shot.number : 0;
  return el("ol", { class: "strip", "aria-label": t("Shots around it") },
    shots.map((shot) => el("li", {}, shotButton(item, shot, shot.number === number))));
}

/** The mark on a machine's text, which names the machine. */
export function machineMark(madeBy) {
  return el("span", { class: "machine-mark", title: t("Written by a machine, not by the agency: {name}", { name: madeBy }) }, t("machine-made"));
}

/** A machine's caption, marked as one. */
export function machineCaption(item, highlighted) {
  const told = item.machine_caption;
  if (!told || !told.text) return null;
  return el("p", { class: "machine" }, machineMark(told.made_by), " ", marked(highlighted || told.text));
}

/** In the panel: the caption, unless it is the title already, and which machine wrote what. */
export function machineCredit(item, isBeside) {
  const makers = [...new Set([(item.machine_caption || {}).made_by, ...(item.shots || []).map((shot) => shot.made_by)].filter(Boolean))];
  if (!makers.length) return null;
  const names = { names: makers.join("; ") };
  const what = item.shots ? t("Descriptions of shots so marked are machine-made, not the agency's: {names}", names)
    : isBeside ? t("This caption is machine-made, not the agency's: {names}", names) : t("The caption above is machine-made, not the agency's: {names}", names);
  return el("div", {}, isBeside && machineCaption(item),
    el("p", { class: "machine-credit" }, what));
}

/** The hit's place in a video, with a mark if a machine described it. */
export function shotLine({ meta, item }, actions) {
  if (!meta.shot) return null;
  return el("p", { class: "shot-line" }, t("Shot {number}, ", { number: meta.shot.number }), el("time", {}, meta.shot.timecode),
    meta.shot.made_by && [" ", machineMark(meta.shot.made_by)],
    meta.shot.description && [" ", similarLink(item, actions.go, meta.shot)]);
}

/** The picture or the film in the panel. */
export function figure(item, shot) {
  const drawn = placeholder(item);
  if (isPlayable(item)) return el("figure", {}, film(item, shot, false));
  const href = ours(item, "preview") || ours(item, "thumbnail");
  if (href) return el("figure", {}, still(href, saying(item), item));
  return drawn && el("figure", {}, drawn, el("figcaption", {}, t("A stand-in: the picture itself is not in this service.")));
}

/** Every shot of a video with its words. */
export function shotList(item) {
  const shots = item.shots || [];
  if (!shots.length) return null;
  return el("section", { class: "shots", "aria-labelledby": "shots-title" },
    el("h3", { id: "shots-title" }, shots.length === 1 ? t("The shot") : t("The {count} shots", { count: shots.length })),
    el("ol", {}, shots.map((shot) => el("li", {}, shotButton(item, shot, false),
      el("div", {}, el("time", {}, shot.timecode),
        el("p", { dir: "auto" }, shot.description || t("not described"), shot.made_by && [" ", machineMark(shot.made_by)]))))));
}

/** A video that begins, and pauses, where the shot does: Media Fragments URI 1.0, section 4.2.1. */
export function film(item, shot, now) {
  const source = ours(item, "main") + (shot ? `#t=${[shot.start_s, shot.end_s].filter((at) => at !== undefined).join(",")}` : "");
  const tag = item.type === "audio" ? "audio" : "video";
  const node = el(tag, { src: source, controls: true, playsinline: true, preload: "metadata", poster: ours(item, "preview") || null });
  node.addEventListener("error", () => node.after(el("p", { class: "remark" },
    t("This browser can't play the file, or its address has ended."), " ",
    el("a", { href: ours(item, "main") }, t("Open the file itself")), t(", or search again."))), { once: true });
  if (now) node.autoplay = true;
  return node;
}

/** Opens the player at a shot, or at the beginning without one. */
export function play(item, shot) {
  const dialog = byId("player");
  const close = () => dialog.close();
  const node = film(item, shot, true);
  dialog.replaceChildren(
    el("header", { class: "panel-head" },
      el("h2", { id: "player-title", dir: "auto" }, unmarked(item.headline) || saying(item) || t("Video")),
      el("button", { type: "button", class: "close", "aria-label": t("Close the player"), onclick: close }, "×")),
    node,
    shot && el("p", { class: "player-shot" }, shot.number && el("b", {}, t("Shot {number}", { number: shot.number })), " ", el("time", {}, shot.timecode), " ",
      el("span", { dir: "auto" }, shot.description), shot.made_by && [" ", machineMark(shot.made_by)]));
  dialog.addEventListener("close", () => { node.pause(); node.removeAttribute("src"); node.load(); dialog.replaceChildren(); }, { once: true });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) close(); });
  dialog.showModal();
}
