// The use log: a reader is asked once whether it may keep what they search for and open. Until a reader
// agrees, nothing is kept; the answer stays on this machine and can be changed below the stories.

import { keepUse } from "../shared/client.js";
import { byId, show } from "../shared/dom.js";
import { t } from "../shared/texts.js";

const ANSWER = "dateline-use-log";
const answered = () => localStorage.getItem(ANSWER);
const agreed = () => answered() === "yes";

function take(days) {
  keepUse({ asked: Boolean(days), agreed: agreed() });
  show(byId("use-log"), days && !answered());
  show(byId("use-log-change"), days && answered());
  byId("use-log-change").textContent = agreed() ? t("What you search for is kept in the use log: change") : t("Nothing is kept of what you search for: change");
}

/** Takes what the configuration says of a key: for how many `days` its searches may be kept, 0 for none. */
export function useConsent(days) {
  byId("use-log-how").textContent = t("It learns from this what to show first. It has your account under a code for at most {days} days, and the words only if several accounts searched for the same.", { days });
  byId("use-log-yes").onclick = () => { localStorage.setItem(ANSWER, "yes"); take(days); };
  byId("use-log-no").onclick = () => { localStorage.setItem(ANSWER, "no"); take(days); };
  byId("use-log-change").onclick = () => { show(byId("use-log"), true); byId("use-log-yes").focus(); };
  take(days);
}
