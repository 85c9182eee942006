// What pages gain when scripts run. All of them work without: this file only makes some things quicker.

document.documentElement.classList.add("js");

// announce tells something to who listens to the page instead of looking at it.
export function announce(text) {
  const region = document.getElementById("announce");
  if (region) region.textContent = text;
}

// The choice of theme takes effect at once, and is saved for the next page.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!(form instanceof HTMLFormElement) || !form.matches("[data-theme-form]") || !event.submitter) return;
  event.preventDefault();
  const theme = event.submitter.value;
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  for (const button of form.querySelectorAll("button")) {
    if (button === event.submitter) button.setAttribute("aria-pressed", "true");
    else button.removeAttribute("aria-pressed");
  }
  const body = new URLSearchParams({ theme, next: location.pathname });
  await fetch(form.action, { method: "POST", body, headers: { "X-Requested-With": "fetch" } });
});

// Menus close by Escape and by a click elsewhere.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary")?.focus();
  }
});
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

// "/" goes to the search, unless somebody is typing.
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target instanceof Element && event.target.closest("input, textarea, select, [contenteditable]")) return;
  const search = document.querySelector("[data-hotkey='/']");
  if (!search) return;
  event.preventDefault();
  search.focus();
});

// What was not accepted is read out first.
document.getElementById("problem")?.focus();

// Forms that destroy something ask once more.
document.addEventListener("submit", (event) => {
  const question = event.target instanceof HTMLFormElement && (event.submitter?.dataset.confirm ?? event.target.dataset.confirm);
  if (question && !confirm(question)) event.preventDefault();
});

// [data-copy="#id"] copies the text of what it names.
document.addEventListener("click", async (event) => {
  const button = event.target instanceof Element && event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.querySelector(button.dataset.copy).textContent.trim());
  announce("Copied.");
});

// send posts a form as app.js, and reports whether it was done.
export async function send(path, body) {
  try {
    const answer = await fetch(path, { method: "POST", body, headers: { "X-Requested-With": "fetch" } });
    return answer.ok;
  } catch {
    return false;
  }
}

// A filter takes effect when it is chosen.
document.addEventListener("change", (event) => {
  const form = event.target instanceof HTMLSelectElement && event.target.closest("form[data-auto-submit]");
  if (form) form.requestSubmit();
});

// A file is dropped onto the form, or chosen there: then it is sent.
for (const form of document.querySelectorAll("form[data-upload]")) {
  const input = form.querySelector("input[type=file]");
  form.addEventListener("dragover", (event) => {
    event.preventDefault();
    form.classList.add("over");
  });
  form.addEventListener("dragleave", () => form.classList.remove("over"));
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    form.classList.remove("over");
    if (!event.dataTransfer.files.length) return;
    input.files = event.dataTransfer.files;
    form.requestSubmit();
  });
}

// Live updates: what is marked by data-live is taken anew from the server when something changed that the page shows (data-live-on).

// A form that somebody has begun to fill in is theirs until they send it.
const dirty = new WeakSet();
document.addEventListener("input", (event) => {
  const form = event.target instanceof Element && event.target.closest("form");
  if (form) dirty.add(form);
});
document.addEventListener("reset", (event) => dirty.delete(event.target));

function busy(region) {
  for (const form of region.querySelectorAll("form")) if (dirty.has(form)) return true;
  return region.matches("form") && dirty.has(region) || region.querySelector(".dragging") !== null;
}

const stateful = "details[id]";

// swap replaces what region shows by what fresh shows. Focus and open parts stay.
function swap(region, fresh) {
  if (region.innerHTML === fresh.innerHTML) return false;
  const focused = region.contains(document.activeElement) ? document.activeElement : null;
  const focusId = focused?.id || (focused?.closest("[id]")?.id ?? "");
  const open = [...region.querySelectorAll(stateful)].filter((d) => d.open).map((d) => d.id);
  const scroll = [region.scrollLeft, region.scrollTop];
  region.replaceChildren(...fresh.childNodes);
  for (const id of open) {
    const details = document.getElementById(id);
    if (details) details.open = true;
  }
  [region.scrollLeft, region.scrollTop] = scroll;
  if (focusId) document.getElementById(focusId)?.focus({ preventScroll: true });
  return true;
}

let refreshing = null;
let again = false;

// refresh takes the page anew and swaps what is marked. While one is under way the next waits.
export function refresh() {
  if (refreshing) {
    again = true;
    return refreshing;
  }
  refreshing = (async () => {
    do {
      again = false;
      const answer = await fetch(location.href, { headers: { "X-Requested-With": "fetch", Accept: "text/html" } });
      if (answer.status === 401 || answer.status === 404) return stopListening();
      if (!answer.ok || again) continue;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (fresh.body.dataset.since) document.body.dataset.since = fresh.body.dataset.since;
      for (const region of document.querySelectorAll("[data-live]")) {
        const other = fresh.querySelector(`[data-live="${CSS.escape(region.dataset.live)}"]`);
        if (other && !busy(region)) swap(region, other);
      }
      document.dispatchEvent(new CustomEvent("refreshed"));
    } while (again);
  })()
    .catch(() => {}) // The server is away: EventSource tells when it is back, and then everything is taken anew.
    .finally(() => {
      refreshing = null;
    });
  return refreshing;
}

const watched = document.querySelector("[data-live-on]")?.dataset.liveOn.split(" ") ?? [];
let source = null;
let soon = null;

// concerns reports whether the page shows anything of what changed.
function concerns(event) {
  if (event.all || watched.includes("any")) return true;
  if (event.tasks?.some((id) => watched.includes(`task:${id}`))) return true;
  if (event.projects?.some((id) => watched.includes(`project:${id}`))) return true;
  return !event.tasks?.length && (event.projects?.some((id) => watched.includes(`project-only:${id}`)) ?? false);
}

function listen() {
  const since = document.body.dataset.since;
  if (source || !since || !watched.length || !("EventSource" in window)) return;
  source = new EventSource(`/events?since=${since}`);
  source.addEventListener("change", (message) => {
    if (!concerns(JSON.parse(message.data)) || soon) return;
    // A little later, so that many pages do not ask at once and many changes are one.
    soon = setTimeout(() => {
      soon = null;
      refresh();
    }, 50 + Math.random() * 150);
  });
  source.addEventListener("signed-out", stopListening);
}

function stopListening() {
  source?.close();
  source = null;
}

// A page that nobody looks at needs no connection: it is brought up to date when it is looked at again.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    stopListening();
  } else if (watched.length && !source) {
    listen(); // It tells whether something has changed since the page was made.
  }
});
window.addEventListener("pagehide", stopListening);
window.addEventListener("pageshow", (event) => {
  if (event.persisted) listen();
});
if (!document.hidden) listen();
