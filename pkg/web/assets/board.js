// The board: cards are dragged, or moved by the keyboard. Without this file each card has a menu that does the same.

import { announce, send, refresh } from "./app.js";

const cardOf = (node) => (node instanceof Element ? node.closest("[data-task]") : null);
const listOf = (card) => card.closest("[data-status]");
const canMove = (card) => card.draggable;

// move puts a card into a list before another card, or last, at once on the screen and then on the server.
async function move(card, list, before) {
  const from = { list: listOf(card), before: card.nextElementSibling };
  const focused = card.contains(document.activeElement) ? document.activeElement : null;
  list.insertBefore(card, before);
  focused?.focus();
  count();
  const body = new URLSearchParams({ status: list.dataset.status, place: "1" });
  const above = card.previousElementSibling?.dataset.task;
  const below = card.nextElementSibling?.dataset.task;
  if (above) body.set("after", above);
  if (below) body.set("before", below);
  if (await send(`/tasks/${card.dataset.task}/move`, body)) {
    const place = [...list.children].indexOf(card) + 1;
    announce(`“${card.dataset.title}” is in “${list.dataset.name}”, ${place} of ${list.children.length}.`);
  } else {
    from.list.insertBefore(card, from.before);
    count();
    announce(`“${card.dataset.title}” could not be moved.`);
  }
  refresh();
}

function count() {
  for (const column of document.querySelectorAll("[data-board] .column")) {
    const shown = column.querySelector(".count")?.firstChild;
    if (shown) shown.textContent = String(column.querySelectorAll("[data-task]").length);
  }
}

let dragged = null;

document.addEventListener("dragstart", (event) => {
  const card = cardOf(event.target);
  if (!card || !canMove(card)) return;
  dragged = card;
  event.dataTransfer.effectAllowed = "move";
  event.dataTransfer.setData("text/plain", card.dataset.title);
  requestAnimationFrame(() => card.classList.add("dragging"));
});

document.addEventListener("dragend", () => {
  dragged?.classList.remove("dragging");
  dragged = null;
  for (const list of document.querySelectorAll(".cards.over")) list.classList.remove("over");
});

// place gives the card of the list before which something at that height belongs, or null for the end.
function place(list, y) {
  for (const card of list.querySelectorAll("[data-task]")) {
    if (card === dragged) continue;
    const box = card.getBoundingClientRect();
    if (y < box.top + box.height / 2) return card;
  }
  return null;
}

const listUnder = (node) => (node instanceof Element ? node.closest("[data-board] .column")?.querySelector("[data-status]") : null);

document.addEventListener("dragover", (event) => {
  const list = dragged && listUnder(event.target);
  if (!list) return;
  event.preventDefault();
  for (const other of document.querySelectorAll(".cards.over")) if (other !== list) other.classList.remove("over");
  list.classList.add("over");
});

document.addEventListener("drop", (event) => {
  const list = dragged && listUnder(event.target);
  if (!list) return;
  event.preventDefault();
  const before = place(list, event.clientY);
  if (before === dragged.nextElementSibling && list === listOf(dragged)) return;
  move(dragged, list, before);
});

const lists = () => [...document.querySelectorAll("[data-board] [data-status]")];

function focusCard(card) {
  card?.querySelector(".task-title")?.focus();
  card?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (!event.key.startsWith("Arrow") || event.altKey || event.ctrlKey || event.metaKey) return;
  const title = event.target instanceof Element && event.target.closest(".task-title");
  const card = title && cardOf(title);
  if (!card) return;
  event.preventDefault();
  const list = listOf(card);
  const all = lists();
  const at = [...list.children].indexOf(card);
  const sideways = { ArrowLeft: -1, ArrowRight: 1 }[event.key] ?? 0;
  const moving = event.shiftKey && canMove(card);
  if (sideways) {
    let next = all.indexOf(list) + sideways;
    if (!moving) while (all[next] && !all[next].children.length) next += sideways; // An empty column has nothing to go to.
    const target = all[next];
    if (!target) return;
    if (moving) move(card, target, target.children[at] ?? null).then(() => focusCard(document.getElementById(card.id)));
    else focusCard(target.children[Math.min(at, target.children.length - 1)]);
    return;
  }
  const down = event.key === "ArrowDown";
  const neighbour = down ? card.nextElementSibling : card.previousElementSibling;
  if (!neighbour) return;
  if (moving) move(card, list, down ? neighbour.nextElementSibling : neighbour).then(() => focusCard(document.getElementById(card.id)));
  else focusCard(neighbour);
});
