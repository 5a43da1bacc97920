// What a reader may do with an item, its renditions, and its download with the licence text beside it.

import { download, priceOf, textForm, used } from "../shared/client.js";
import { byId, el, show, unmarked } from "../shared/dom.js";
import { number, rightsName, time } from "../shared/format.js";
import { ours } from "./media.js";
import { t } from "../shared/texts.js";

const [KILOBYTE, MEGABYTE] = [1e3, 1e6];
const FILES = { main: "Original", preview: "Preview", thumbnail: "Thumbnail" };
const FORMS = { plain: "txt", nitf: "xml", newsmlg2: "xml" }; // of a text, with the end of the file's name
const FORM_NAMES = { plain: "Plain text", nitf: "NITF", newsmlg2: "NewsML-G2" };
const listed = (value) => [value].flat().filter((one) => typeof one === "string" && one).join(" ");

const bylines = (item) => (item.bylines || []).map((one) => one.by).filter(Boolean).join(", ");

/** The credit line that the document gives, else who made it. */
export const creditOf = (item) => listed(item.creditline || item.creditLine || item.credit || item.description_creditline) || bylines(item);

/** What the licence says, as pairs of a name and a text. */
export function licence(item, meta = {}) {
  return [
    [t("Credit"), creditOf(item)],
    [t("Copyright"), item.copyrightnotice],
    [t("Terms of use"), (item.usageterms || []).join(" ")],
    [t("Rights"), (item.rights || []).map(rightsName).join(", ")],
    [t("Products"), (meta.products || []).map((product) => product.name).join(", ")],
    [t("Editor's note"), item.ednote],
  ].filter(([, text]) => text);
}

/** Width, height and bytes of a rendition, as far as they are known. */
export function sizeOf({ width, height, sizeinbytes } = {}) {
  const pixels = width && height ? `${number(width)} × ${number(height)} px` : "";
  const bytes = sizeinbytes ? sizeinbytes < MEGABYTE ? `${number(Math.ceil(sizeinbytes / KILOBYTE))} kB` : `${(sizeinbytes / MEGABYTE).toFixed(1)} MB` : "";
  return [pixels, bytes].filter(Boolean).join(", ");
}

/** The largest rendition: of it the crop marks and the size are told. */
export function largest(item) {
  const all = Object.values(item.renditions || {}).filter((one) => one.width && one.height);
  return all.reduce((best, one) => (best && best.width * best.height >= one.width * one.height ? best : one), null);
}

const isLink = (href) => typeof href === "string" && /^https?:\/\//.test(href);

/** Every rendition with its size; those that lie elsewhere as links to there. */
export function renditionList(item) {
  const rows = Object.entries(item.renditions || {}).filter(([, one]) => one && typeof one === "object");
  if (!rows.length) return null;
  return el("ul", { class: "renditions" }, rows.map(([name, one]) => {
    const mine = ours(item, name);
    const label = FILES[name] ? t(FILES[name]) : one.title || one.name || name;
    const link = mine || isLink(one.href)
      ? el("a", { href: mine || one.href, target: "_blank", rel: "noreferrer" }, label) : label;
    return el("li", {}, link, " ", el("span", {}, [sizeOf(one), one.mimetype || one.contentType || "", mine ? "" : t("kept elsewhere")].filter(Boolean).join(" · ")));
  }));
}

function licenceText(item, meta) {
  const lines = licence(item, meta).map(([name, text]) => `${name}: ${text}`);
  return [unmarked(item.headline) || item.uri, "", ...lines, "", `URI: ${item.uri}`, `${t("Version")}: ${item.version}`,
    `${t("Downloaded")}: ${new Date().toISOString()}`, ""].join("\n");
}

const fileName = (item) => (item.slugline || item.uri.split(":").pop() || "item").replace(/[^\p{L}\p{N}._-]+/gu, "-").slice(0, 80);

function save(href, name) {
  const link = el("a", { href, download: name, hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
}

function saveBlob(blob, name) {
  const href = URL.createObjectURL(blob);
  save(href, name);
  setTimeout(() => URL.revokeObjectURL(href), 10_000);
}

const saveLicence = (item, meta) => saveBlob(new Blob([licenceText(item, meta)], { type: "text/plain" }), `${fileName(item)}-licence.txt`);

/** Saves a text in one of its forms, and its licence text. */
async function takeText(item, meta, form, said) {
  try {
    saveBlob(await textForm(item.uri, form), `${fileName(item)}.${FORMS[form]}`);
  } catch (error) {
    said.replaceChildren(el("p", {}, error.message), error.mend || "");
    show(said, true);
    return;
  }
  used(item.uri, "download");
  saveLicence(item, meta);
  byId("licence").close();
}

/** Saves a file and its licence text; a price that nobody has agreed to is asked about first. */
async function take(item, meta, name, said, agreed = null) {
  const href = ours(item, name) + (agreed ? `&price=${agreed.price}&currency=${agreed.currency}` : "");
  try {
    await download(href); // orders it, or says why not, before the browser begins
  } catch (error) {
    const price = priceOf(error);
    said.replaceChildren(el("p", {}, price ? t("This download costs {price} {currency}.", price) : error.message), price
      ? el("button", { type: "button", class: "go", onclick: () => take(item, meta, name, said, price) }, t("Download for {price} {currency}", price)) : error.mend || "");
    show(said, true);
    return;
  }
  save(href, `${fileName(item)}`);
  used(item.uri, "download");
  saveLicence(item, meta);
  byId("licence").close();
}

/** Shows the licence, and downloads the file and the licence's text from there. */
export function askLicence(item, meta = {}) {
  const dialog = byId("licence");
  const isText = item.type === "text";
  const files = isText ? Object.keys(FORMS) : Object.keys(FILES).filter((name) => ours(item, name));
  const said = el("div", { class: "said", role: "status", hidden: true });
  const rows = licence(item, meta);
  const choice = el("select", { id: "licence-file" }, files.map((name) => el("option", { value: name }, isText ? t(FORM_NAMES[name]) : [t(FILES[name]), sizeOf(item.renditions[name])].filter(Boolean).join(", "))));
  dialog.replaceChildren(...[
    el("h2", { id: "licence-title" }, t("Licence")),
    rows.length ? el("dl", { class: "licence-text" }, rows.map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", {}, text))))
      : el("p", {}, t("The agency says nothing about the use of this item.")),
    el("p", { class: "licence-of" }, time(item.versioncreated), ` · ${t("Version")} ${item.version}`),
    files.length > 0 && el("label", { for: "licence-file" }, t("File")), files.length > 0 && choice,
    files.length === 0 && el("p", {}, t("The file itself is not in this service.")),
    said,
    el("div", { class: "box-actions" },
      el("button", { type: "button", class: "plain", onclick: () => dialog.close() }, t("Cancel")),
      el("button", { type: "button", class: "plain", onclick: () => saveLicence(item, meta) }, t("Licence text alone")),
      files.length > 0 && el("button", { type: "button", class: "go", onclick: () => (isText ? takeText : take)(item, meta, choice.value, said) }, t("Download both"))),
  ].filter(Boolean));
  dialog.showModal();
}
