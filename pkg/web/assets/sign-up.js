// The sign-up: says whether an address is free while it is typed, and shows the steps of a sign-up as they happen. Both work without: the form
// is checked when it is sent, and the page of a sign-up loads itself again.

const form = document.querySelector("[data-sign-up]");
if (form) {
  const slug = form.elements.slug;
  const answer = document.getElementById("e-slug");
  let chosen = slug.value !== ""; // By hand: then the organization's name says nothing any more.
  let timer = 0;
  let latest = 0;

  const say = (text, kind) => {
    answer.textContent = text;
    answer.className = "slug-answer" + (kind ? " " + kind : "");
    if (kind === "error") slug.setAttribute("aria-invalid", "true");
    else slug.removeAttribute("aria-invalid");
  };
  const check = async () => {
    const asked = ++latest;
    if (slug.value.trim() === "") return say("", "");
    try {
      const response = await fetch("/sign-up/check?" + new URLSearchParams({ slug: slug.value }));
      const found = await response.json();
      if (asked !== latest) return; // Something else has been typed meanwhile.
      say(found.message, found.free ? "good" : response.ok ? "error" : "");
    } catch {
      if (asked === latest) say("", ""); // It is checked when the form is sent.
    }
  };
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(check, 250);
  };
  slug.addEventListener("input", () => {
    chosen = slug.value !== "";
    later();
  });
  form.elements.name.addEventListener("input", () => {
    if (chosen) return;
    slug.value = form.elements.name.value.normalize("NFKD").toLowerCase().replace(/[\u0300-\u036f]/g, "").replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 40);
    later();
  });
  form.addEventListener("submit", () => {
    const button = form.querySelector("button.primary");
    setTimeout(() => { button.disabled = true; });
  });
  addEventListener("pageshow", () => { form.querySelector("button.primary").disabled = false; });
}

const steps = document.querySelector("[data-progress]");
if (steps) {
  const page = steps.dataset.progress;
  const show = (event) => {
    for (const [key, state] of Object.entries(JSON.parse(event.data))) {
      const step = steps.querySelector(`[data-step="${key}"]`);
      if (step && step.dataset.state !== state) step.dataset.state = state;
    }
  };
  const source = new EventSource(page + "/events");
  source.addEventListener("step", show);
  source.addEventListener("end", (event) => {
    source.close();
    show(event);
    location.replace(page); // It leads to the workspace, or says what went wrong.
  });
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 1000);
  });
}
