// Signing in and out, making an account, one's own name and password.

import { endSession, isStaff, patch, post, put, setUser, signIn, user } from "./api.js";
import { form, goTo, h, link, renew, section } from "./ui.js";

const EMAIL = { name: "email", label: "E-mail address", type: "email", required: true, autocomplete: "username", maxlength: 254 };
const NEW_PASSWORD = { type: "password", required: true, minlength: 12, maxlength: 200, autocomplete: "new-password", hint: "At least 12 characters." };

/** `wanted` is where to go afterwards. */
export function signInPage(wanted) {
    const password = { name: "password", label: "Password", type: "password", required: true, autocomplete: "current-password", maxlength: 200 };
    const enter = async ({ email, password: given }) => {
        await signIn(email, given);
        goTo(wanted ?? (isStaff() ? "#/" : "#/learning"), `Welcome, ${user().name}.`);
    };
    const other = h("p", {}, "No account yet? ", link("#/register", "Make a student’s account"), ".");
    return { title: "Sign in", content: [h("div", { class: "panel narrow" }, form([EMAIL, password], "Sign in", enter)), other] };
}

export function registerPage() {
    const name = { name: "name", label: "Your name", required: true, maxlength: 200, autocomplete: "name" };
    const make = async (values) => {
        await post("/api/auth/register", values);
        await signIn(values.email, values.password);
        goTo("#/", `Welcome, ${user().name}.`);
    };
    const fields = [name, EMAIL, { name: "password", label: "Password", ...NEW_PASSWORD }];
    return { title: "Make an account", content: [h("div", { class: "panel narrow" }, form(fields, "Make the account", make))] };
}

export function accountPage() {
    const name = { name: "name", label: "Name", required: true, maxlength: 200, value: user().name, autocomplete: "name" };
    const rename = async (values) => {
        setUser(await patch("/api/users/me", values));
        await renew("Your name is changed.");
    };
    const current = { name: "current_password", label: "Present password", type: "password", required: true, autocomplete: "current-password", maxlength: 200 };
    const change = async (values) => {
        await put("/api/users/me/password", values);
        endSession("Your password is changed. Sign in with the new one.");
    };
    const content = [
        h("p", {}, `${user().email}, ${user().role}`),
        section("Name", h("div", { class: "panel narrow" }, form([name], "Change the name", rename))),
        section(
            "Password",
            h("div", { class: "panel narrow" }, form([current, { name: "new_password", label: "New password", ...NEW_PASSWORD }], "Change the password", change)),
        ),
    ];
    return { title: "Your account", content };
}
