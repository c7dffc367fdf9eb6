import { existsSync } from "node:fs"
import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { root, until } from "@edge-relay/testkit/Program"
import { debianPython, type RealProgram, run } from "@edge-relay/testkit/RealPrograms"

/** Lists a folder and serves its files. */
export const httpServer: RealProgram = {
  name: "python http.server",
  command: debianPython,
  args: (port) => ["-m", "http.server", "--bind", "127.0.0.1", String(port)],
  prepare: async (home) => {
    await writeFile(
      join(home, "page.html"),
      '<!doctype html><link rel="stylesheet" href="/style.css"><h1>a page</h1>'
    )
    await writeFile(join(home, "style.css"), "h1 { color: rgb(1, 2, 3) }")
  },
  use: async (page) => {
    if (!page.url().endsWith("page.html")) await page.getByRole("link", { name: "page.html" }).click()
    await page.waitForFunction(() => {
      const heading = document.querySelector("h1")
      return heading !== null && getComputedStyle(heading).color === "rgb(1, 2, 3)"
    })
  },
  deep: {
    path: "/page.html",
    works: (page) => page.getByRole("heading", { name: "a page" }).waitFor()
  }
}

const vite = join(root, "node_modules/vite/bin/vite.js")

/** A development server: modules, and hot reload over a WebSocket. */
export const viteServer: RealProgram = {
  name: "vite",
  command: existsSync(vite) ? process.execPath : undefined,
  args: (port) => [vite, "--host", "127.0.0.1", "--port", String(port), "--strictPort"],
  prepare: async (home) => {
    await writeFile(
      join(home, "index.html"),
      '<!doctype html><h1 id="count">…</h1><script type="module" src="/main.js"></script>'
    )
    await writeFile(
      join(home, "main.js"),
      `import { text } from "./text.js"
const show = (text) => (document.querySelector("#count").textContent = text)
show(text)
window.loadedAt ??= Date.now()
import.meta.hot.accept("./text.js", (changed) => show(changed.text))`
    )
    await writeFile(join(home, "text.js"), 'export const text = "version 0"')
  },
  use: async (page, home) => {
    const file = join(home, "text.js")
    const shown = Number(/\d+/.exec(await readFile(file, "utf8"))?.[0])
    await page.getByRole("heading", { name: `version ${shown}`, exact: true }).waitFor()
    await page.evaluate(() => Object.assign(globalThis, { marked: true }))
    const changed = page.getByRole("heading", { name: `version ${shown + 1}`, exact: true })
    // Its watcher overlooks a change that comes right behind another one.
    await until(
      async () => {
        await writeFile(file, `export const text = "version ${shown + 1}"`)
        return changed.waitFor({ timeout: 3_000 }).then(
          () => true,
          () => false
        )
      },
      (isShown) => isShown
    )
    // By a message over its WebSocket, not by a new load.
    if (!(await page.evaluate(() => "marked" in globalThis))) throw new Error("it was loaded anew")
  },
  deep: {
    path: "/text.js",
    works: (page) => page.getByText("export const text").waitFor()
  }
}

const hasDjango = existsSync("/usr/lib/python3/dist-packages/django")

/** A site with users of its own: sign-in, CSRF cookie, redirects, and a form that is checked. */
export const django: RealProgram = {
  name: "django",
  command: hasDjango ? debianPython : undefined,
  args: (port) => ["manage.py", "runserver", "--noreload", `127.0.0.1:${port}`],
  prepare: async (home) => {
    const python = debianPython ?? ""
    await run(python, ["-m", "django", "startproject", "site_", home], home)
    await run(python, ["manage.py", "migrate", "-v0"], home)
    await run(
      python,
      ["manage.py", "createsuperuser", "--noinput", "--username", "admin", "--email", "admin@example.com"],
      home,
      {
        DJANGO_SUPERUSER_PASSWORD: "a-long-password"
      }
    )
  },
  use: async (page) => {
    await page.goto(new URL("/admin/auth/group/add/", page.url()).href)
    if (page.url().includes("/login/")) {
      await page.getByLabel("Username").fill("admin")
      await page.getByLabel("Password").fill("a-long-password")
      await page.getByRole("button", { name: "Log in" }).click()
    }
    const name = `group ${Math.random()}`
    await page.getByLabel("Name").fill(name)
    await page.getByRole("button", { name: "Save", exact: true }).click()
    await page.getByText("was added successfully").waitFor()
    await page.getByRole("link", { name, exact: true }).first().waitFor()
  },
  deep: {
    path: "/admin/login/?next=/admin/auth/user/",
    works: (page) => page.getByRole("button", { name: "Log in" }).waitFor()
  }
}
