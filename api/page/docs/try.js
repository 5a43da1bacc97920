// Tries a request of the documentation with the reader's own key. The key stays in this tab.

import { el } from "../shared/dom.js";

const STORED = "dateline-key"; // as on the search page
const LONGEST = 200000; // characters of an answer that are shown

export function keyField() {
  const field = el("input", { id: "try-key", type: "password", autocomplete: "off", spellcheck: "false" });
  field.value = sessionStorage.getItem(STORED) || "";
  field.addEventListener("input", () => sessionStorage.setItem(STORED, field.value));
  return el("p", { class: "try-key" }, el("label", { for: "try-key" }, "Your key, for trying requests on this page"), field);
}

function hint(schema = {}) {
  if (schema.default !== undefined && schema.default !== null && schema.default !== "") return String(schema.default);
  return (schema.enum || []).filter(Boolean).join(" | ");
}

function field(operation, one) {
  const id = `try-${operation.operationId}-${one.name}`;
  const input = el("input", { id, type: "text", name: one.name, placeholder: hint(one.schema), required: one.required, autocomplete: "off", "data-in": one.in, "data-list": one.schema?.type === "array" });
  return el("div", { class: "try-field" }, el("label", { for: id }, one.name), input);
}

function bodyField(operation, type) {
  const id = `try-${operation.operationId}-body`;
  const area = el("textarea", { id, name: "body", rows: "5", spellcheck: "false", "data-type": type });
  if (type.includes("json")) area.value = "{}";
  return el("div", { class: "try-field try-body" }, el("label", { for: id }, `Body: ${type}`), area);
}

/** The request that a form describes: address, and fetch's options. */
function request(form, base, path, method) {
  const query = new URLSearchParams();
  let address = path;
  for (const input of form.querySelectorAll("input[name]")) {
    const value = input.value.trim();
    if (input.dataset.in === "path") address = address.replace(`{${input.name}}`, encodeURIComponent(value));
    else if (value && input.dataset.in === "query") {
      for (const each of input.hasAttribute("data-list") ? value.split(",") : [value]) query.append(input.name, each.trim());
    }
  }
  const headers = { "x-api-key": document.getElementById("try-key").value };
  const area = form.querySelector("textarea");
  if (area) headers["content-type"] = area.dataset.type;
  const asked = query.toString();
  return [base + address + (asked ? `?${asked}` : ""), { method: method.toUpperCase(), headers, body: area ? area.value : undefined, cache: "no-store" }];
}

function pretty(text, type) {
  if (!type.includes("json")) return text;
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
}

async function shown(answer) {
  const type = answer.headers.get("content-type") || "";
  if (type.includes("event-stream")) { await answer.body?.cancel(); return "A stream has no end: follow it with curl -N."; }
  if (!/json|text|xml|html/.test(type)) return `${type}: ${(await answer.blob()).size} bytes`;
  const text = pretty(await answer.text(), type);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}\n… ${text.length - LONGEST} characters more` : text;
}

/** A form that sends the operation's request, and shows the answer below. */
export function tryForm(base, path, method, operation) {
  const type = Object.keys(operation.requestBody?.content || {})[0];
  const status = el("p", { class: "try-status", role: "status" });
  const output = el("pre", { class: "try-answer", tabindex: "0", role: "group", "aria-label": "The answer", hidden: true });
  const send = el("button", { type: "submit" }, "Send");
  const form = el("form", { class: "try-form" },
    (operation.parameters || []).filter((one) => one.in !== "header").map((one) => field(operation, one)),
    type ? bodyField(operation, type) : null, send, status, output);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true;
    status.textContent = "Waiting for the answer.";
    const began = performance.now();
    try {
      const answer = await fetch(...request(form, base, path, method));
      output.textContent = await shown(answer);
      status.textContent = `${answer.status} in ${Math.round(performance.now() - began)} ms`;
      output.hidden = false;
    } catch {
      status.textContent = "There was no answer.";
      output.hidden = true;
    } finally {
      send.disabled = false;
    }
  });
  return el("details", { class: "try" }, el("summary", {}, "Try it"), form);
}
