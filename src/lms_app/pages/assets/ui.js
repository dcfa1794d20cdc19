// Builds what is seen. Text goes in as text nodes only, whoever wrote it.

import { Problem } from "./api.js";

/** Makes an element: `on…` functions listen, true sets an attribute, false and null leave it out. */
export function h(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (typeof value === "function") element.addEventListener(name.slice(2), value);
        else if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.flat().filter((child) => child != null && child !== false));
    return element;
}

export const link = (href, text, attributes = {}) => h("a", { href, ...attributes }, text);
export const prose = (text) => h("div", { class: "prose" }, text);
export const row = (...children) => h("div", { class: "row" }, ...children);
export const section = (title, ...children) => h("section", {}, h("h2", {}, title), ...children);
export const tag = (text, kind = "") => h("span", { class: `tag ${kind}` }, text);

const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
export const day = (text) => (text ? h("time", { datetime: text }, DAY.format(new Date(text))) : "");
export const moment = (text) => h("time", { datetime: text }, MOMENT.format(new Date(text)));

export function size(bytes) {
    if (bytes < 1000) return `${bytes} B`;
    return bytes < 1e6 ? `${Math.round(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** A bar with its number, read out as one thing. */
export function progress(percentage, label) {
    const bar = h("progress", { max: 100, value: percentage, "aria-label": label });
    return h("div", { class: "progress" }, bar, h("span", {}, `${percentage} %`));
}

/** Says something that is seen and read out; it stays until the next page. */
export function say(text, isProblem = false) {
    const status = document.getElementById("status");
    status.className = isProblem ? "problem" : "";
    status.textContent = text;
    if (text) status.scrollIntoView({ block: "nearest" });
}

let forNextPage = "";

/** The address of the present page, behind the host's own. */
export const here = () => location.hash || "#/";

/** Goes to a page, where the message is said. */
export function goTo(address, message = "") {
    forNextPage = message;
    if (here() === address) dispatchEvent(new Event("hashchange"));
    else location.hash = address;
}

/** Says what was left to be said on this page. */
export function arrived() {
    if (forNextPage) say(forNextPage);
    forNextPage = "";
}

let redraw = async () => {};

/** Says how the present page is drawn anew. */
export function redrawnBy(draw) {
    redraw = draw;
}

/** Draws the present page anew, after a change, and says what has changed. */
export async function renew(message) {
    await redraw();
    say(message);
}

export function explain(error) {
    if (!(error instanceof Problem)) throw error;
    say(error.line, true);
}

/** A button that is out of use while what it does is under way; what goes wrong is said. */
export function button(text, act, attributes = {}) {
    return h("button", { type: "button", ...attributes, onclick: (event) => busy(event.currentTarget, act) }, text);
}

async function busy(element, act) {
    if (element.getAttribute("aria-busy") === "true") return;
    element.setAttribute("aria-busy", "true");
    say("");
    try {
        await act(element);
    } catch (error) {
        explain(error);
    } finally {
        element.removeAttribute("aria-busy");
    }
}

/** Asks first, in the browser's own words. */
export function carefully(text, question, act) {
    return button(text, (element) => (confirm(question) ? act(element) : undefined), { class: "quiet danger" });
}

/**
 * A form of fields `{name, label, type, value, hint, options, …attributes}`; `act` gets the values, and may return
 * nothing. A problem with a field is said at that field.
 */
export function form(fields, submit, act) {
    const entries = fields.map(entry);
    const problem = h("p", { class: "problem", role: "alert" });
    const send = h("button", { type: "submit" }, submit);
    const element = h("form", {}, ...entries.map(({ block }) => block), problem, h("div", { class: "row" }, send));
    element.addEventListener("submit", async (event) => {
        event.preventDefault();
        if (send.getAttribute("aria-busy") === "true") return;
        send.setAttribute("aria-busy", "true");
        problem.textContent = "";
        entries.forEach(({ control }) => control.removeAttribute("aria-invalid"));
        say("");
        try {
            await act(Object.fromEntries(entries.map(({ name, read }) => [name, read()])), element);
        } catch (error) {
            if (!(error instanceof Problem)) throw error;
            problem.textContent = wrong(error, entries);
        } finally {
            send.removeAttribute("aria-busy");
        }
    });
    return element;
}

function wrong(error, entries) {
    const lines = error.errors.map(({ field, words }) => {
        const at = entries.find(({ name }) => name === field);
        at?.control.setAttribute("aria-invalid", "true");
        at?.control.focus();
        return at ? `${at.label}: ${words}` : words;
    });
    return lines.join("; ") || error.line;
}

let fieldNumber = 0;

function entry({ name, label, type = "text", value = "", hint, options, ...attributes }) {
    fieldNumber += 1;
    const id = `field-${fieldNumber}`;
    const common = { id, name, "aria-describedby": hint ? `${id}-hint` : null, ...attributes };
    const words = h("label", { for: id }, label);
    const said = hint && h("p", { class: "hint", id: `${id}-hint` }, hint);
    if (type === "checkbox") {
        const control = h("input", { ...common, type, checked: Boolean(value) });
        return { name, label, control, read: () => control.checked, block: h("div", { class: "check" }, control, words, said) };
    }
    let control;
    if (type === "textarea") control = h("textarea", common, value);
    else if (options) control = h("select", common, options.map(([key, text]) => h("option", { value: key, selected: key === value }, text)));
    else control = h("input", { ...common, type, value });
    const read = () => (type === "file" ? control.files[0] : control.value);
    return { name, label, control, read, block: h("div", { class: "field" }, words, control, said) };
}

/**
 * A list read page by page: `path` of the first one, `item` makes an `li` of each entry (it may be a promise).
 * "Show more" moves the focus to the first entry that is new.
 */
export async function pages(get, path, item, { empty, name = "" }) {
    const list = h("ul", { class: name });
    const more = button("Show more", () => read(true), { class: "quiet" });
    let next = null;
    async function read(moveFocus) {
        const address = next ? `${path}&cursor=${encodeURIComponent(next)}` : path;
        const page = await get(address);
        const items = await Promise.all(page.items.map(item));
        next = page.next;
        list.append(...items);
        more.hidden = !next;
        if (moveFocus) focus(items[0]?.querySelector("a, button") ?? list);
    }
    await read(false);
    return list.children.length ? [list, more] : [h("p", { class: "empty" }, empty)];
}

export function focus(element) {
    if (!element) return;
    if (!element.matches("a, button, input, select, textarea")) element.setAttribute("tabindex", "-1");
    element.focus();
}
