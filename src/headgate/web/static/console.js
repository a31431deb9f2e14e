// What pages gain by a script. Each of them works without.
import { follow } from "./live.js";
import { themeSwitch } from "./theme-switch.js";
import { loginLink } from "./login.js";

themeSwitch(document.querySelector("#theme"));
loginLink(document.querySelector("#login"));
if (document.body.dataset.live) follow(document.body.dataset.live, document.querySelector("#live"));
