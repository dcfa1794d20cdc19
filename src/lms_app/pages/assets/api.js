// Speaks with the LMS's JSON API: the session, problem documents, repeats that do no harm.

const STORED = "lms-session";
const TIMEOUT_MS = 60_000;
const LONGEST_WAIT_S = 5;
const FRESH_MS = 30_000; // longer than any shared cache keeps the catalogue

let current = restore();
let pending = { text: "", key: "" };
let freshUntil = 0;

/** What the LMS refused, or that it could not be asked; `line` says it in one line. */
export class Problem extends Error {
    constructor({ status = 0, title = "Something went wrong", detail, errors }) {
        super(title);
        this.status = status;
        this.errors = (errors ?? []).map(({ pointer, detail: words }) => ({ field: pointer.split("/")[1], words }));
        this.line = sentence(detail ?? title);
    }
}

export function sentence(text) {
    const line = text.trim();
    return line.charAt(0).toUpperCase() + line.slice(1) + (/[.!?…]$/.test(line) ? "" : ".");
}

/** Who is signed in, in this tab; nobody when null. */
export const user = () => current?.user ?? null;
export const isStaff = () => ["teacher", "admin"].includes(user()?.role);
export const isAdmin = () => user()?.role === "admin";

export function setUser(changed) {
    keep({ ...current, user: changed });
}

export async function signIn(email, password) {
    keep(await post("/api/auth/sign-in", { email, password }));
}

/** Ends all of the user's sessions; where the LMS cannot be asked, at least this tab's. */
export async function signOut() {
    try {
        await post("/api/auth/sign-out");
    } finally {
        keep(null);
    }
}

/** Forgets a session that the LMS has ended; whoever shows pages is told why. */
export function endSession(why) {
    keep(null);
    dispatchEvent(new CustomEvent("session-ended", { detail: why }));
}

export const get = async (path) => (await call("GET", path)).value;
export const post = async (path, body) => (await call("POST", path, body)).value;
export const patch = async (path, body) => (await call("PATCH", path, body)).value;
export const put = async (path, body) => (await call("PUT", path, body)).value;
export const remove = async (path) => (await call("DELETE", path)).value;

/** Gives the answer's value and its entity tag. Throws a Problem. */
export async function call(method, path, body, { match } = {}) {
    const headers = new Headers({ Accept: "application/json", ...bearer() });
    const text = body === undefined ? undefined : JSON.stringify(body);
    if (text !== undefined) headers.set("Content-Type", "application/json");
    if (match) headers.set("If-Match", match);
    if (method === "POST" && !path.startsWith("/api/auth/")) headers.set("Idempotency-Key", keyFor(`${path} ${text}`));
    const cache = Date.now() < freshUntil ? "reload" : "default";
    const answer = await ask(path, { method, headers, body: text, cache });
    const value = await valueOf(answer);
    if (method === "POST") pending = { text: "", key: "" };
    if (method !== "GET" && path.startsWith("/api/courses")) freshUntil = Date.now() + FRESH_MS;
    return { value, etag: answer.headers.get("ETag") };
}

/** Sends a file, telling how much of it has gone (0 to 1). XMLHttpRequest, because fetch does not tell. */
export function upload(path, file, type, tell) {
    return new Promise((done, failed) => {
        const request = new XMLHttpRequest();
        request.open("PUT", path);
        request.setRequestHeader("Content-Type", type);
        for (const [name, value] of Object.entries(bearer())) request.setRequestHeader(name, value);
        request.upload.onprogress = (event) => tell(event.loaded / event.total);
        request.onerror = () => failed(unreachable());
        request.onload = () => (request.status < 300 ? done() : failed(problemOf(request.status, request.responseText)));
        request.send(file);
    });
}

async function ask(path, options) {
    for (let tried = 0; ; tried += 1) {
        let answer;
        try {
            answer = await fetch(path, { ...options, signal: AbortSignal.timeout(TIMEOUT_MS) });
        } catch {
            throw unreachable();
        }
        const busy = answer.status === 429 || answer.status === 503;
        const wait = Number(answer.headers.get("Retry-After") ?? Infinity);
        if (!busy || tried || options.method !== "GET" || !(wait <= LONGEST_WAIT_S)) return answer;
        await new Promise((done) => setTimeout(done, wait * 1000));
    }
}

async function valueOf(answer) {
    const text = await answer.text().catch(() => {
        throw unreachable();
    });
    if (!answer.ok) throw problemOf(answer.status, text);
    return text ? JSON.parse(text) : null;
}

function problemOf(status, text) {
    if (status === 401 && current) {
        endSession("Your session has ended. Sign in again.");
        return new Problem({ status, title: "Your session has ended" });
    }
    try {
        return new Problem(JSON.parse(text));
    } catch {
        return new Problem({ status, title: `The LMS answered with an error (${status}). Try again in a while` });
    }
}

function unreachable() {
    return new Problem({ title: "The LMS cannot be reached. Check the connection and try again" });
}

// The same request sent again after a lost answer has the same key, so it is carried out once.
function keyFor(text) {
    if (text !== pending.text) {
        const bytes = crypto.getRandomValues(new Uint8Array(16));
        pending = { text, key: Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("") };
    }
    return pending.key;
}

function bearer() {
    return current ? { Authorization: `Bearer ${current.token}` } : {};
}

function keep(session) {
    current = session;
    try {
        if (session) sessionStorage.setItem(STORED, JSON.stringify(session));
        else sessionStorage.removeItem(STORED);
    } catch {
        // A browser that keeps nothing: the session lasts as long as the page.
    }
}

function restore() {
    try {
        const kept = JSON.parse(sessionStorage.getItem(STORED));
        return kept && Date.parse(kept.expires_at) > Date.now() ? kept : null;
    } catch {
        return null;
    }
}
