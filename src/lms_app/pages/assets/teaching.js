// What teachers do: their courses, modules, files, announcements, and who is how far.

import { call, get, patch, post, put, remove, upload } from "./api.js";
import { card } from "./courses.js";
import { button, carefully, day, form, goTo, h, link, pages, progress, renew, row, say, section, size, tag } from "./ui.js";

const LARGEST = 16_000_000; // what the LMS takes through itself is a little more
const ANY_TYPE = "application/octet-stream";
const KNOWN_TYPE = /^[a-z]+\/[a-z0-9][a-z0-9.+-]{0,99}$/;
const ROWS = 50;

const courseFields = (course = {}) => [
    { name: "title", label: "Title", required: true, maxlength: 200, value: course.title },
    { name: "description", label: "What it is about", type: "textarea", rows: 4, maxlength: 20_000, value: course.description },
    { name: "is_published", label: "Published: everybody sees it and may enrol", type: "checkbox", value: course.is_published },
];
const moduleFields = (module = {}) => [
    { name: "title", label: "Title of the module", required: true, maxlength: 200, value: module.title },
    { name: "content", label: "Text", type: "textarea", rows: module.id ? 14 : 5, maxlength: 20_000, value: module.content },
];

/** One's own courses, drafts included. */
export async function list() {
    const item = (course) => card(course, `#/teaching/${course.id}`, course.is_published ? tag("Published", "good") : tag("Draft"));
    const found = await pages(get, "/api/teaching/courses?limit=24", item, { empty: "You have made no courses yet.", name: "cards" });
    return { title: "Teaching", content: [row(link("#/teaching/new", "Make a course", { class: "button" })), ...found] };
}

export function create() {
    const make = async (values) => {
        const made = await post("/api/courses", values);
        goTo(`#/teaching/${made.id}`, "The course is there. Now add its modules.");
    };
    return { title: "Make a course", content: [h("div", { class: "panel" }, form(courseFields(), "Make the course", make))] };
}

/** Everything about one course that its teacher can change. */
export async function edit(id) {
    const { value: course, etag } = await call("GET", `/api/courses/${id}`);
    const save = async (values) => {
        await call("PATCH", `/api/courses/${id}`, values, { match: etag });
        await renew("Saved.");
    };
    const destroy = async () => {
        await remove(`/api/courses/${id}`);
        goTo("#/teaching", "The course is deleted.");
    };
    const content = [
        row(
            link(`#/courses/${id}`, "See it as students do", { class: "button quiet" }),
            link(`#/teaching/${id}/report`, "Who is how far", { class: "button quiet" }),
        ),
        h("div", { class: "panel" }, form(courseFields(course), "Save", save)),
        section("Modules", modules(course), h("h3", {}, "Add a module"), h("div", { class: "panel" }, addModule(course))),
        await files(id),
        section("Tell everybody in the course", h("div", { class: "panel" }, announce(id))),
        row(carefully("Delete the course", `Delete “${course.title}” with its modules and files?`, destroy)),
    ];
    return { title: course.title, content };
}

function modules(course) {
    if (!course.modules.length) return h("p", { class: "empty" }, "No modules yet.");
    const ids = course.modules.map(({ id }) => id);
    const item = (module, place) => {
        const name = `“${module.title}”`;
        const move = (by) => async () => {
            const order = ids.filter((id) => id !== module.id);
            order.splice(place + by, 0, module.id);
            await put(`/api/courses/${course.id}/modules/order`, { module_ids: order });
            await renew(`${name} is number ${place + by + 1} now.`);
        };
        const destroy = async () => {
            await remove(`/api/courses/${course.id}/modules/${module.id}`);
            await renew(`${name} is deleted.`);
        };
        const buttons = row(
            place > 0 && button("Up", move(-1), { class: "quiet", "aria-label": `Move ${name} up` }),
            place < ids.length - 1 && button("Down", move(1), { class: "quiet", "aria-label": `Move ${name} down` }),
            carefully("Delete", `Delete the module ${name}?`, destroy),
        );
        return h("li", {}, link(`#/teaching/${course.id}/modules/${module.id}`, module.title), buttons);
    };
    return h("ol", { class: "modules" }, course.modules.map(item));
}

function addModule(course) {
    return form(moduleFields(), "Add the module", async (values) => {
        await post(`/api/courses/${course.id}/modules`, values);
        await renew(`Added: ${values.title}.`);
    });
}

export async function editModule(courseId, moduleId) {
    const path = `/api/courses/${courseId}/modules/${moduleId}`;
    const module = await get(path);
    const save = async (values) => {
        await patch(path, values);
        goTo(`#/teaching/${courseId}`, `Saved: ${values.title}.`);
    };
    const back = h("p", {}, link(`#/teaching/${courseId}`, "Back to the course"));
    return { title: module.title, content: [back, h("div", { class: "panel" }, form(moduleFields(module), "Save", save))] };
}

function announce(courseId) {
    const field = { name: "message", label: "Message", type: "textarea", rows: 3, required: true, maxlength: 2000 };
    return form([field], "Send it", async (values, element) => {
        const { queued_for: number } = await post(`/api/courses/${courseId}/announcements`, values);
        element.reset();
        say(number === 1 ? "On its way to one person." : `On its way to ${number} people.`);
    });
}

async function files(courseId) {
    const path = `/api/courses/${courseId}/media`;
    const item = (file) => {
        const destroy = async () => {
            await remove(`/api/media/${file.id}`);
            await renew(`${file.filename} is deleted.`);
        };
        const download = link(`/api/media/${file.id}/content`, file.filename, { download: true });
        const about = h("span", { class: "hint" }, ` ${size(file.size_bytes)}`);
        return h("li", {}, h("span", {}, download, about), carefully("Delete", `Delete the file ${file.filename}?`, destroy));
    };
    const field = { name: "file", label: "File", type: "file", required: true, hint: `Up to ${size(LARGEST)}.` };
    const add = form([field], "Upload the file", ({ file }, element) => send(path, file, element));
    const found = await pages(get, `${path}?limit=50`, item, { empty: "No files yet.", name: "files" });
    return section("Files", ...found, h("div", { class: "panel" }, add));
}

async function send(path, file, element) {
    if (file.size > LARGEST || !file.size) {
        say(file.size ? `${file.name} has ${size(file.size)}; up to ${size(LARGEST)} can be uploaded here.` : `${file.name} is empty.`, true);
        return;
    }
    const type = KNOWN_TYPE.test(file.type) ? file.type : ANY_TYPE;
    const { media } = await post(path, { filename: file.name, content_type: type, size_bytes: file.size });
    const place = h("div", {}, progress(0, `Upload of ${file.name}`));
    element.append(place);
    const tell = (share) => place.replaceChildren(progress(Math.floor(share * 100), `Upload of ${file.name}`));
    try {
        await upload(`/api/media/${media.id}/content`, file, type, tell);
    } catch (error) {
        await remove(`/api/media/${media.id}`).catch(() => {}); // what was only announced is of no use
        throw error;
    } finally {
        place.remove();
    }
    await renew(`${file.name} is uploaded.`);
}

/** Each student’s progress. */
export async function report(id) {
    const [course, rows] = await Promise.all([get(`/api/courses/${id}`), get(`/api/courses/${id}/report?format=json`)]);
    const body = h("tbody");
    let shown = 0;
    const add = () => {
        body.append(...rows.slice(shown, shown + ROWS).map(reportRow));
        shown += ROWS;
        more.hidden = shown >= rows.length;
    };
    const more = button("Show more", add, { class: "quiet" });
    add();
    const done = rows.filter(({ status }) => status === "completed").length;
    const heads = ["Name", "Address", "Progress", "State", "Since", "Completed"].map((text) => h("th", { scope: "col" }, text));
    const table = h("table", {}, h("caption", {}, `${rows.length} enrolled, ${done} completed`), h("thead", {}, h("tr", {}, heads)), body);
    const csv = link(`/api/courses/${id}/report?format=csv`, "Download as CSV", { class: "button quiet", download: true });
    const content = [
        h("p", {}, link(`#/teaching/${id}`, "Back to the course")),
        rows.length ? h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Report" }, table) : h("p", { class: "empty" }, "Nobody is in this course yet."),
        row(more, rows.length > 0 && csv),
    ];
    return { title: `Who is how far: ${course.title}`, content };
}

function reportRow(one) {
    return h(
        "tr",
        {},
        h("th", { scope: "row" }, one.name),
        h("td", {}, one.email),
        h("td", {}, `${one.progress_percentage} %`),
        h("td", {}, one.status),
        h("td", {}, day(one.enrolled_at)),
        h("td", {}, day(one.completed_at)),
    );
}
