"use strict";
// Sorts a table by the column whose heading is pressed; pressed again, the other way round.
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement;
    const table = head.closest("table");
    const place = [...head.parentElement.children].indexOf(head);
    const down = head.getAttribute("aria-sort") !== "descending";
    for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = (row) => {
      const cell = row.children[place];
      return cell.classList.contains("number") ? Number(cell.dataset.key) : cell.dataset.key;
    };
    const compare = (a, b) => (typeof a === "number" && typeof b === "number"
      ? (a < b ? -1 : a > b ? 1 : 0)
      : String(a).localeCompare(String(b), "en", { numeric: true }));
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => compare(key(a), key(b)) * (down ? -1 : 1));
    table.tBodies[0].append(...rows);
  });
}
