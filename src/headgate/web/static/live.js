// A page that changes while it is looked at: the server sends the parts that are otherwise now, by their ids.
import { become } from "./become.js";

const announced = document.querySelector("#announce");

export function follow(url, button) {
  let source = null;
  const waiting = new Map(); // what came while a part could not be changed

  const show = (id, html) => {
    const part = document.getElementById(id);
    if (!part) return;
    if (busy(part)) {
      waiting.set(id, html);
      return;
    }
    waiting.delete(id);
    const said = part.querySelector("[data-announce]")?.dataset.announce;
    become(part, html);
    const says = part.querySelector("[data-announce]")?.dataset.announce;
    if (says && says !== said) announced.textContent = says;
  };

  const tell = (state, word) => {
    button.dataset.state = state;
    button.querySelector(".word").textContent = word;
    button.setAttribute("aria-pressed", String(state !== "paused"));
  };

  const begin = () => {
    tell("waiting", "Connecting");
    source = new EventSource(url);
    source.addEventListener("open", () => tell("live", "Live"));
    source.addEventListener("error", () => tell("waiting", "Connecting"));
    source.addEventListener("over", () => location.reload());
    source.addEventListener("parts", (event) => {
      for (const [id, html] of Object.entries(JSON.parse(event.data))) show(id, html);
    });
  };

  const end = () => {
    source?.close();
    source = null;
    tell("paused", "Paused");
  };

  button.hidden = false;
  button.title = "Whether this page follows what happens";
  button.addEventListener("click", () => (source ? end() : begin()));
  document.addEventListener("toggle", () => waiting.forEach((html, id) => show(id, html)), true);
  window.addEventListener("pagehide", () => source?.close());
  window.addEventListener("pageshow", (event) => event.persisted && source && begin());
  begin();
}

// Somebody is in the middle of a decision, or has marked text: what he looks at stays.
function busy(part) {
  if (part.querySelector("details.confirm[open]")) return true;
  const marked = getSelection();
  return !marked.isCollapsed && part.contains(marked.anchorNode);
}
