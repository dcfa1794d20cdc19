// The catalogue, a course, its modules, and one's own way through them.

import { get, isAdmin, patch, post, put, remove, user } from "./api.js";
import { button, carefully, day, h, link, pages, progress, prose, renew, row, section, size, tag } from "./ui.js";

const STATES = { active: "Enrolled", completed: "Completed", dropped: "Left" };
const titles = new Map(); // of courses, by id: lists of enrolments name none
let mine = null; // progress by course id, a promise

/** Forgets what belongs to the one who was signed in. */
export function forget() {
    mine = null;
}

function myProgress() {
    mine ??= user() ? readProgress() : Promise.resolve(new Map());
    mine.catch(() => (mine = null));
    return mine;
}

async function readProgress() {
    const found = new Map();
    let cursor = "";
    do {
        const page = await get(`/api/users/me/progress?limit=100${cursor}`);
        for (const item of page.items) found.set(item.course_id, item);
        cursor = page.next && `&cursor=${encodeURIComponent(page.next)}`;
    } while (cursor);
    return found;
}

async function note(enrollment) {
    (await myProgress()).set(enrollment.course_id, enrollment);
    return enrollment;
}

async function modulesDone(course, standing) {
    if (!isIn(standing)) return new Set();
    if (standing.progress_percentage === 100) return new Set(course.modules.map(({ id }) => id));
    return new Set((await get(`${enrollmentPath(course.id)}/modules`)).module_ids);
}

const isIn = (standing) => Boolean(standing) && standing.status !== "dropped";
const enrollmentPath = (courseId) => `/api/enrollments/${user().id}-${courseId}`;
export const mayEdit = (course) => isAdmin() || (user()?.role === "teacher" && user().id === course.teacher_id);

function standingShown(standing, title) {
    if (!isIn(standing)) return null;
    const kind = standing.status === "completed" ? "good" : "";
    return h("div", { class: "standing" }, tag(STATES[standing.status], kind), progress(standing.progress_percentage, `Progress in ${title}`));
}

export function card(course, href, ...more) {
    titles.set(course.id, course.title);
    const about = course.description && h("p", { class: "clipped" }, course.description);
    return h("li", { class: "card" }, h("h2", {}, link(href, course.title)), about, ...more);
}

/** All published courses. */
export async function list() {
    const progressing = await myProgress();
    const item = (course) => card(course, `#/courses/${course.id}`, standingShown(progressing.get(course.id), course.title));
    const found = await pages(get, "/api/courses?limit=24", item, { empty: "There are no courses yet.", name: "cards" });
    return { title: "Courses", content: found };
}

/** The courses of the one who is signed in, the furthest first. */
export async function learning() {
    const item = async (enrollment) => {
        await note(enrollment);
        const title = await titleOf(enrollment.course_id);
        if (title === null) return h("li", { class: "card" }, h("h2", {}, `Course ${enrollment.course_id}`), h("p", {}, "It is not offered any more."));
        const heading = h("h2", {}, link(`#/courses/${enrollment.course_id}`, title));
        const since = h("p", { class: "hint" }, "Since ", day(enrollment.enrolled_at));
        const left = enrollment.status === "dropped" && tag(STATES.dropped);
        return h("li", { class: "card" }, heading, left, standingShown(enrollment, title), since);
    };
    const empty = h("span", {}, "You are not in any course yet. ", link("#/", "Look at the courses"), ".");
    return { title: "My courses", content: await pages(get, "/api/enrollments?limit=12", item, { empty, name: "cards" }) };
}

async function titleOf(courseId) {
    if (titles.has(courseId)) return titles.get(courseId);
    try {
        titles.set(courseId, (await get(`/api/courses/${courseId}`)).title);
    } catch (error) {
        if (error.status !== 404) throw error;
        titles.set(courseId, null);
    }
    return titles.get(courseId);
}

/** A course: what it is about, how far one is, its modules and files. */
export async function show(id) {
    const [course, progressing] = await Promise.all([get(`/api/courses/${id}`), myProgress()]);
    titles.set(course.id, course.title);
    const standing = progressing.get(course.id);
    const allowed = isIn(standing) || (user() && mayEdit(course));
    const done = await modulesDone(course, standing);
    const content = [
        !course.is_published && tag("Draft: only you see it"),
        course.description && prose(course.description),
        enrolling(course, standing),
        section("Modules", modules(course, done, allowed)),
        allowed && (await files(course)),
    ];
    return { title: course.title, content };
}

function enrolling(course, standing) {
    if (!user()) return row(link("#/sign-in", "Sign in to enrol", { class: "button" }));
    const edit = mayEdit(course) && link(`#/teaching/${course.id}`, "Edit this course", { class: "button quiet" });
    if (!isIn(standing)) return row(course.is_published && button("Enrol", () => enrol(course)), edit);
    const finish = async () => {
        await note(await patch(enrollmentPath(course.id), { progress_percentage: 100 }));
        await renew("Noted. Well done!");
    };
    const isOpen = standing.status === "active";
    const buttons = row(
        isOpen && standing.progress_percentage < 100 && !course.modules.length && button("I have finished this course", finish),
        isOpen && carefully("Leave this course", `Leave “${course.title}”?`, () => leave(course)),
        edit,
    );
    return h("div", { class: "panel" }, standingShown(standing, course.title), buttons);
}

async function enrol(course) {
    await note(await post("/api/enrollments", { course_id: course.id }));
    await renew(`You are in: ${course.title}.`);
}

async function leave(course) {
    await remove(enrollmentPath(course.id));
    mine = null;
    await renew(`You have left ${course.title}. Your progress is kept for a return.`);
}

function modules(course, done, allowed) {
    if (!course.modules.length) return h("p", { class: "empty" }, "This course has no modules yet.");
    const item = (module) => {
        const title = allowed ? link(`#/courses/${course.id}/modules/${module.id}`, module.title) : h("span", {}, module.title);
        return h("li", {}, title, done.has(module.id) && tag("Done", "good"));
    };
    return h("ol", { class: "modules" }, course.modules.map(item));
}

async function files(course) {
    const item = (file) => {
        const download = link(`/api/media/${file.id}/content`, file.filename, { download: true });
        return h("li", {}, download, h("span", { class: "hint" }, ` ${size(file.size_bytes)}`));
    };
    const path = `/api/courses/${course.id}/media?limit=50`;
    return section("Files", ...(await pages(get, path, item, { empty: "This course has no files.", name: "files" })));
}

/** A module's content, the button that says one is through with it, and the way on. */
export async function module(courseId, moduleId) {
    const [course, shown, progressing] = await Promise.all([
        get(`/api/courses/${courseId}`),
        get(`/api/courses/${courseId}/modules/${moduleId}`),
        myProgress(),
    ]);
    const standing = progressing.get(course.id);
    const done = await modulesDone(course, standing);
    const place = course.modules.findIndex(({ id }) => id === shown.id);
    const [before, after] = [course.modules[place - 1], course.modules[place + 1]];
    const to = (other, text) => other && link(`#/courses/${course.id}/modules/${other.id}`, `${text}: ${other.title}`, { class: "button quiet" });
    const complete = async () => {
        const enrollment = await note(await put(`${enrollmentPath(course.id)}/modules/${shown.id}`));
        await renew(enrollment.progress_percentage === 100 ? "That was the last one: the course is done!" : "Noted: this module is done.");
    };
    const content = [
        h("p", { class: "hint" }, link(`#/courses/${course.id}`, course.title), ` · Module ${place + 1} of ${course.modules.length}`),
        standingShown(standing, course.title),
        shown.content ? prose(shown.content) : h("p", { class: "empty" }, "This module has no text."),
        row(isIn(standing) && (done.has(shown.id) ? tag("Done", "good") : button("Mark as done", complete))),
        h("nav", { class: "row", "aria-label": "Modules" }, to(before, "Back"), to(after, "Next")),
    ];
    return { title: shown.title, content };
}
