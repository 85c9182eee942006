// Passkeys: the only thing that needs scripts. Buttons and forms with data-passkey stay hidden where the browser knows none.

const encode = (buffer) => {
  let text = "";
  for (const byte of new Uint8Array(buffer)) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
};

const decode = (text) => {
  const raw = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(raw, (char) => char.charCodeAt(0)).buffer;
};

// Older browsers read no JSON: these do what PublicKeyCredential's own functions do elsewhere.
function parseOptions(options, creating) {
  const native = creating ? PublicKeyCredential.parseCreationOptionsFromJSON : PublicKeyCredential.parseRequestOptionsFromJSON;
  if (native) return native.call(PublicKeyCredential, options);
  const parsed = { ...options, challenge: decode(options.challenge) };
  if (options.user) parsed.user = { ...options.user, id: decode(options.user.id) };
  for (const list of ["allowCredentials", "excludeCredentials"]) {
    if (options[list]) parsed[list] = options[list].map((item) => ({ ...item, id: decode(item.id) }));
  }
  return parsed;
}

function toJSON(credential) {
  if (credential.toJSON) return credential.toJSON();
  const from = credential.response;
  const response = { clientDataJSON: encode(from.clientDataJSON) };
  for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (from[name]) response[name] = encode(from[name]);
  }
  if (from.getTransports) response.transports = from.getTransports();
  return {
    id: credential.id, rawId: encode(credential.rawId), type: credential.type, response,
    authenticatorAttachment: credential.authenticatorAttachment ?? undefined, clientExtensionResults: credential.getClientExtensionResults(),
  };
}

async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST", body: JSON.stringify(body ?? {}), headers: { "Content-Type": "application/json", "Accept": "application/json", "X-Requested-With": "fetch" },
  });
  const read = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(read.detail ?? "This did not work. Try again.");
  return read;
}

// ceremony asks the server for a challenge, the browser for its answer, and brings it back.
async function ceremony(path, creating, extra) {
  const begun = await post(`${path}/begin`);
  if (begun.location) return location.assign(begun.location);
  const publicKey = parseOptions(begun.options.publicKey ?? begun.options, creating);
  const credential = creating ? await navigator.credentials.create({ publicKey }) : await navigator.credentials.get({ publicKey });
  const done = await post(path, { ...extra, credential: toJSON(credential) });
  location.assign(done.location);
}

async function run(trigger, work) {
  const error = document.querySelector("[data-passkey-error]");
  error.textContent = "";
  trigger.disabled = true;
  try {
    await work();
  } catch (problem) {
    // The browser does not tell whether somebody refused or waited too long.
    error.textContent = problem.name === "NotAllowedError" || problem.name === "AbortError" ? "No passkey was used." :
      problem.name === "InvalidStateError" ? "This device has a passkey for here already." : problem.message;
  } finally {
    trigger.disabled = false;
  }
}

if (window.PublicKeyCredential && navigator.credentials) {
  for (const element of document.querySelectorAll("[data-passkey], [data-passkey-only]")) element.hidden = false;
  for (const element of document.querySelectorAll("[data-passkey-missing]")) element.hidden = true;
  document.querySelector("[data-passkey='sign-in']")?.addEventListener("click", (event) => {
    const button = event.currentTarget;
    run(button, () => ceremony("/sign-in/passkey", false, { next: button.dataset.next }));
  });
  document.querySelector("[data-passkey='add']")?.addEventListener("submit", (event) => {
    event.preventDefault();
    const form = event.currentTarget;
    run(form.querySelector("button"), () => ceremony("/settings/security/passkeys", true, { name: form.elements.name.value }));
  });
}
