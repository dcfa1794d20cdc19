// What one has been told, and how much of it is new.

import { get, post } from "./api.js";
import { button, focus, h, link, moment, pages, tag } from "./ui.js";

const MOST = 20;
const KINDS = { announcement: "Announcement", course_completed: "Course completed" };

/** How many are unread, as a text: "3", "20+"; empty when there are none. */
export async function unread() {
    const page = await get(`/api/notifications?unread=true&limit=${MOST}`);
    return page.items.length ? `${page.items.length}${page.next ? "+" : ""}` : "";
}

/** The newest first; `changed` is called when one was marked as read. */
export async function list(changed, onlyUnread) {
    const item = (one) => {
        const mark = async (element) => {
            await post(`/api/notifications/${one.id}/read`);
            const entry = element.closest("li");
            entry.querySelector(".new").remove();
            focus(entry);
            element.remove();
            await changed();
        };
        const isNew = one.read_at === null;
        const head = h("p", { class: "hint" }, KINDS[one.kind] ?? one.kind.replaceAll("_", " "), " · ", moment(one.created_at));
        return h(
            "li",
            { class: "card" },
            head,
            h("p", { class: "prose" }, isNew && tag("New", "new"), one.message),
            isNew && button("Mark as read", mark, { class: "quiet" }),
        );
    };
    const query = onlyUnread ? "&unread=true" : "";
    const empty = onlyUnread ? "Nothing new." : "Nobody has told you anything yet.";
    const choice = h(
        "nav",
        { class: "row", "aria-label": "Which notifications" },
        link("#/notifications", "All", { "aria-current": !onlyUnread && "page" }),
        link("#/notifications/unread", "Unread", { "aria-current": onlyUnread && "page" }),
    );
    const found = await pages(get, `/api/notifications?limit=${MOST}${query}`, item, { empty, name: "stack" });
    return { title: "Notifications", content: [choice, ...found] };
}
