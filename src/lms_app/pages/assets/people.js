// What administrators do: accounts.

import { get, patch, post, user } from "./api.js";
import { button, carefully, day, form, h, pages, renew, say, section, tag } from "./ui.js";

const ROLES = [["student", "Student"], ["teacher", "Teacher"], ["admin", "Administrator"]];
const FIELDS = [
    { name: "name", label: "Name", required: true, maxlength: 200, autocomplete: "off" },
    { name: "email", label: "E-mail address", type: "email", required: true, maxlength: 254, autocomplete: "off" },
    { name: "role", label: "Role", options: ROLES, value: "student" },
    {
        name: "password", label: "First password", type: "password", required: true, minlength: 12, maxlength: 200,
        autocomplete: "new-password", hint: "At least 12 characters. They change it under their own name.",
    },
];

/** Everybody who is active, the newest first. */
export async function list() {
    const make = async (values) => {
        const made = await post("/api/users", values);
        await renew(`${made.name} can sign in now.`);
    };
    const found = await pages(get, "/api/users?limit=25", entry, { empty: "There is nobody.", name: "lines" });
    const content = [
        section("Make an account", h("div", { class: "panel narrow" }, form(FIELDS, "Make the account", make))),
        section("Active accounts", ...found),
    ];
    return { title: "People", content };
}

function entry(one) {
    const item = h("li", { class: "line" });
    const set = async (is_active) => {
        const changed = await patch(`/api/users/${one.id}`, { is_active });
        item.replaceWith(entry(changed));
        say(is_active ? `${one.name} can sign in again.` : `${one.name} cannot sign in any more.`);
    };
    const off = carefully("Deactivate", `Deactivate ${one.name}? All their sessions end.`, () => set(false));
    const on = button("Activate again", () => set(true), { class: "quiet" });
    const name = h("p", {}, h("strong", {}, one.name), " ", tag(one.is_active ? one.role : "deactivated", one.is_active && "good"));
    const more = h("p", { class: "hint" }, one.email, " · number ", String(one.id), " · since ", day(one.created_at));
    item.append(h("div", {}, name, more));
    if (one.id !== user().id) item.append(one.is_active ? off : on);
    return item;
}
