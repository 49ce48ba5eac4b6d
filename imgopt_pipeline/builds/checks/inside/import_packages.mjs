// Run by an image's own Node: imports the direct dependencies of every application, answers in JSON.
// All of an application in one child process first; what fails there, or ends it, is tried again alone.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const given = JSON.parse(process.argv[process.argv.length - 1]);
const deadline = Date.now() + given.total_seconds * 1000;
const unwanted = new Set(["node_modules", "proc", "sys", "dev", "site-packages", "dist-packages", ".git", ".next"]);
const child = `
import { writeSync } from "node:fs";
for (const name of JSON.parse(process.argv[process.argv.length - 1])) {
  writeSync(3, "? " + name + "\\n");
  try { await import(name); writeSync(3, "+ " + name + "\\n"); }
  catch (error) { writeSync(3, "- " + name + " " + String((error?.code ?? "") + " " + error).split(/\\s+/).join(" ").slice(0, 500) + "\\n"); }
}
process.exit(0);`;

function* applications(start) {
  const folders = [[start, 0]];
  for (let seen = 0; folders.length && seen < given.folders; seen++) {
    const [folder, depth] = folders.shift();
    let entries;
    try { entries = readdirSync(folder, { withFileTypes: true }); } catch { continue; }
    if (entries.some((entry) => entry.name === "package.json")) yield folder;
    for (const entry of entries)
      if (entry.isDirectory() && !unwanted.has(entry.name) && depth < given.depth) folders.push([join(folder, entry.name), depth + 1]);
  }
}

function dependencies(folder) {
  try {
    const document = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const names = Object.keys(document.dependencies ?? {}).filter((name) => /^(@[\w.~-]+\/)?[\w.~-]+$/.test(name));
    return names.filter((name) => !name.startsWith("@types/")).slice(0, 500);
  } catch { return []; }
}

function attempt(folder, names) {
  const left = Math.min(given.seconds * 1000, deadline - Date.now());
  if (left <= 0) return [{}, names];
  const words = ["--input-type=module", "-e", child, JSON.stringify(names)];
  const options = { cwd: folder, timeout: left, killSignal: "SIGKILL", stdio: ["ignore", "ignore", "ignore", "pipe"], maxBuffer: 1 << 24 };
  const ran = spawnSync(process.execPath, words, options);
  const results = {};
  let trying = names[0];
  for (const line of String(ran.output?.[3] ?? "").split("\n").filter(Boolean)) {
    const [sign, name, ...rest] = line.split(" ");
    if (sign === "?") trying = name; else results[name] = sign === "+" ? "" : rest.join(" ") || "fails";
  }
  const rest = names.filter((name) => !(name in results));
  if (rest.length) {
    const at = trying in results ? rest[0] : trying;
    results[at] = ran.error ? "takes too long" : `ends Node (exit code ${ran.status ?? ran.signal})`;
  }
  return [results, rest.filter((name) => !(name in results))];
}

const told = {};
const roots = new Set([...given.places, ...applications("/")]);
for (const folder of roots) {
  if (!existsSync(join(folder, "package.json"))) continue;
  let left = dependencies(folder);
  const results = {};
  while (left.length && Date.now() < deadline) {
    const [some, rest] = attempt(folder, left);
    Object.assign(results, some);
    left = rest;
  }
  for (const name of Object.keys(results).filter((name) => results[name]).slice(0, given.retries))
    Object.assign(results, attempt(folder, [name])[0]);
  if (Object.keys(results).length) told[folder] = results;
}
process.stdout.write(JSON.stringify(told), () => process.exit(0));
