// Draws /openapi.json: one section per operation, nothing fetched from elsewhere.

import { byId, el } from "../shared/dom.js";
import { keyField, tryForm } from "./try.js";

const SERVICE = location.href.replace(/\/docs([?#].*)?$/, ""); // with the path prefix of a proxy
const METHODS = ["get", "post", "patch", "put", "delete"];

function kind(schema = {}) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(kind).filter((name) => name !== "null").join(" or ");
  if (schema.type === "array") return `list of ${kind(schema.items)}`;
  if (schema.enum) return schema.enum.map((value) => value || "(empty)").join(" | ");
  return schema.format || schema.type || "any";
}

function table(titles, rows) {
  return el("div", { class: "frame", tabindex: "0", role: "group", "aria-label": titles.join(", ") }, el("table", {},
    el("thead", {}, el("tr", {}, titles.map((title) => el("th", { scope: "col" }, title)))),
    el("tbody", {}, rows.map((row) => el("tr", {}, row.map((cell, place) => el("td", place === 1 ? { class: "kind" } : {}, cell)))))));
}

const named = (document_, reference) => document_.components.schemas[String(reference).split("/").pop()];

function parameters(operation) {
  const rows = (operation.parameters || []).map((one) => [one.name, `${one.in}, ${kind(one.schema)}`, one.description || ""]);
  return rows.length ? [el("h3", {}, "Parameters"), table(["Name", "Kind", "Meaning"], rows)] : [];
}

function members(schema) {
  return Object.entries(schema.properties || {}).map(([name, one]) => [name, kind(one), one.description || ""]);
}

function body(operation) {
  const content = operation.requestBody?.content || {};
  return Object.entries(content).flatMap(([type, { schema }]) => {
    const rows = members(schema.anyOf?.find((one) => one.properties) || schema);
    return [el("h3", {}, `Body: ${type}`), rows.length ? table(["Member", "Kind", "Meaning"], rows) : el("p", {}, "One document a line.")];
  });
}

function answers(operation, document_) {
  const rows = Object.entries(operation.responses).map(([status, answer]) => {
    const reference = Object.values(answer.content || {})[0]?.schema?.$ref;
    return [status, reference ? reference.split("/").pop() : "", answer.description || ""];
  });
  const model = operation.responses[200]?.content?.["application/json"]?.schema?.$ref;
  const data = model && named(document_, model)?.properties?.data?.$ref;
  const shape = data && members(named(document_, data));
  return [el("h3", {}, "Answers"), table(["Status", "Shape", "Meaning"], rows),
    ...(shape ? [el("h3", {}, "Members of data"), table(["Name", "Kind", "Meaning"], shape)] : [])];
}

function example(method, path) {
  const sent = method === "get" ? "" : ` -X ${method.toUpperCase()} -H 'content-type: application/json' -d '…'`;
  const asked = path === "/content/search" ? "?q=storm&page_size=5" : "";
  return el("pre", { tabindex: "0", role: "group", "aria-label": `Example of ${path}` }, `curl -H 'x-api-key: YOUR-KEY'${sent} '${SERVICE}${path}${asked}'`);
}

function section(document_, path, method, operation) {
  return el("section", { class: "operation", id: operation.operationId },
    el("h2", {}, operation.summary || operation.operationId),
    el("p", { class: "address" }, el("span", { class: "method" }, method.toUpperCase()), path),
    (operation.description || "").split("\n\n").map((part) => el("p", {}, part.replaceAll("`", ""))),
    example(method, path), tryForm(SERVICE, path, method, operation), parameters(operation), body(operation), answers(operation, document_));
}

async function draw() {
  const answer = await fetch("openapi.json");
  if (!answer.ok) throw new Error(`/openapi.json: ${answer.status}`);
  const document_ = await answer.json();
  const operations = Object.entries(document_.paths).flatMap(([path, methods]) =>
    METHODS.filter((method) => methods[method]).map((method) => [path, method, methods[method]]));
  byId("docs").append(
    ...document_.info.description.split("\n\n").map((part) => el("p", { class: "lead" }, part.replaceAll("`", ""))),
    keyField(),
    el("ul", { class: "toc" }, operations.map(([path, method, one]) =>
      el("li", {}, el("a", { href: `#${one.operationId}` }, el("span", { class: "method" }, method.toUpperCase()), path)))),
    ...operations.map(([path, method, one]) => section(document_, path, method, one)));
  // The place that the address names exists only now.
  if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

draw()
  .catch(() => byId("docs").replaceChildren(el("p", { class: "problem", role: "alert" },
    "The service did not say what it offers. Load this page again, or read ", el("a", { href: "openapi.json" }, "openapi.json"), ".")))
  .finally(() => byId("docs").setAttribute("aria-busy", "false"));
