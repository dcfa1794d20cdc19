// Which page an address behind the # is, who may see it, and what every page has: navigation, focus, title.

import { Problem, isAdmin, isStaff, signOut, user } from "./api.js";
import { accountPage, registerPage, signInPage } from "./account.js";
import * as courses from "./courses.js";
import * as notifications from "./notifications.js";
import { arrived, button, focus, goTo, h, here, link, redrawnBy, say } from "./ui.js";

const signedIn = () => Boolean(user());
const anyone = () => true;
const teaching = (name) => async (...ids) => (await import("./teaching.js"))[name](...ids);
const people = async () => (await import("./people.js")).list();

const ROUTES = [
    ["#/", anyone, courses.list],
    ["#/courses/(\\d+)", anyone, courses.show],
    ["#/courses/(\\d+)/modules/(\\d+)", signedIn, courses.module],
    ["#/sign-in", anyone, () => signInPage(wanted)],
    ["#/register", anyone, registerPage],
    ["#/learning", signedIn, courses.learning],
    ["#/notifications", signedIn, () => notifications.list(countUnread, false)],
    ["#/notifications/unread", signedIn, () => notifications.list(countUnread, true)],
    ["#/account", signedIn, accountPage],
    ["#/teaching", isStaff, teaching("list")],
    ["#/teaching/new", isStaff, teaching("create")],
    ["#/teaching/(\\d+)", isStaff, teaching("edit")],
    ["#/teaching/(\\d+)/modules/(\\d+)", isStaff, teaching("editModule")],
    ["#/teaching/(\\d+)/report", isStaff, teaching("report")],
    ["#/people", isAdmin, people],
].map(([pattern, may, page]) => ({ pattern: new RegExp(`^${pattern}$`), may, page }));

const COUNT_AGAIN_MS = 60_000;
const place = document.getElementById("page");
const unreadCount = h("span", { class: "count" });
let wanted; // the page somebody asked for who has to sign in first
let drawing = 0; // a page that comes after a later one was asked for is not shown
let isFirst = true;
let counted = { at: 0, of: null };

redrawnBy(() => draw());
addEventListener("hashchange", () => go());
addEventListener("session-ended", ({ detail: why }) => {
    courses.forget();
    wanted = location.hash;
    goTo("#/sign-in", why);
});
document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault();
    focus(document.getElementById("main"));
});
go();

async function go() {
    say("");
    if (await draw()) arrived();
}

/** Draws the page of the present address; false when another one was asked for meanwhile. */
async function draw() {
    drawing += 1;
    const mine = drawing;
    place.setAttribute("aria-busy", "true");
    const address = here();
    const shown = await pageOf(address);
    if (mine !== drawing || address !== here()) return false;
    const heading = h("h1", {}, shown.title);
    place.replaceChildren(heading, ...shown.content.filter(Boolean));
    place.removeAttribute("aria-busy");
    document.title = `${shown.title} · Watoto LMS`;
    navigation();
    if (!isFirst) focus(heading);
    isFirst = false;
    return true;
}

async function pageOf(address) {
    for (const { pattern, may, page } of ROUTES) {
        const match = pattern.exec(address);
        if (!match) continue;
        if (may()) {
            if (user()) wanted = undefined;
            return carefullyMade(page, match.slice(1));
        }
        if (user()) return excuse("This page is not for you", `It is for others than a ${user().role}.`);
        wanted = address;
        return signInPage(wanted);
    }
    return excuse("There is no such page", "The address may be mistyped, or the page was moved.");
}

async function carefullyMade(page, ids) {
    try {
        return await page(...ids);
    } catch (error) {
        if (!(error instanceof Problem)) throw error;
        const again = error.status === 0 || error.status >= 429 ? h("p", {}, button("Try again", () => draw())) : null;
        return { title: "This page cannot be shown", content: [h("p", { class: "problem", role: "alert" }, error.line), again] };
    }
}

const excuse = (title, why) => ({ title, content: [h("p", {}, `${why} `, link("#/", "Look at the courses"), ".")] });

function navigation() {
    const entries = [
        ["#/", "Courses", true],
        ["#/learning", "My courses", signedIn()],
        ["#/notifications", "Notifications", signedIn()],
        ["#/teaching", "Teaching", isStaff()],
        ["#/people", "People", isAdmin()],
    ];
    const address = here();
    const links = entries.filter(([, , may]) => may).map(([href, text]) => {
        const isHere = href === "#/" ? address === "#/" || address.startsWith("#/courses") : address.startsWith(href);
        return link(href, text, { "aria-current": isHere && "page" });
    });
    links.find(({ hash }) => hash === "#/notifications")?.append(unreadCount);
    document.getElementById("nav").replaceChildren(...links);
    document.getElementById("who").replaceChildren(...(user() ? who() : [link("#/sign-in", "Sign in", { class: "button" })]));
    countUnread(false);
}

function who() {
    const leave = async () => {
        await signOut();
        courses.forget();
        wanted = undefined;
        goTo("#/", "You are signed out.");
    };
    return [link("#/account", user().name), button("Sign out", leave, { class: "quiet" })];
}

/** Asks how many notifications are unread; on the way from page to page only now and then. */
async function countUnread(atOnce = true) {
    if (!user()) counted = { at: 0, of: null };
    if (!user() || (!atOnce && counted.of === user().id && Date.now() - counted.at < COUNT_AGAIN_MS)) return;
    counted = { at: Date.now(), of: user().id };
    const number = await notifications.unread().catch(() => ""); // it is only an ornament
    unreadCount.textContent = number;
    unreadCount.hidden = !number;
    unreadCount.setAttribute("aria-label", `${number} unread`);
}
