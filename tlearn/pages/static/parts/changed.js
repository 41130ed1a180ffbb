// The server, once started anew, may have other pictures by the same numbers: then the page is loaded anew, too.
import { toast } from "/static/parts/toast.js";

const NOTE = "tlearn-changed";
let opened = null;

/** Tell whether the server's pictures are others than when this page was opened; the page is left then. */
export function haveChanged({ pool }) {
  if (opened === null) {
    opened = pool;
    if (sessionStorage.getItem(NOTE)) toast("The pictures have changed: this page was loaded anew. See whether your last decisions are there.", { kind: "error" });
    sessionStorage.removeItem(NOTE);
  }
  if (pool === opened) return false;
  sessionStorage.setItem(NOTE, "yes");
  location.reload();
  return true;
}
