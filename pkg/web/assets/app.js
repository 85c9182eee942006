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
