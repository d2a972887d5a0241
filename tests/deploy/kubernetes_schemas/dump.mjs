// Writes the JSON schemas of Kubernetes that the package kubernetes-models carries to DIR/kubernetes.json, for
// tests/deploy/check_kubernetes.py:
//
//   cd tests/deploy/kubernetes_schemas && npm ci && node dump.mjs DIR
//
// 4.3.1 is the last version that carries them as schemas; later ones hold compiled validators, which let every misspelt
// field pass. They are those of Kubernetes 1.27: what they allow, every cluster since then understands.
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

const expectedVersion = "4.3.1";

const directory = process.argv[2];
if (directory === undefined || process.argv.length !== 3) {
  console.error("usage: node dump.mjs DIR");
  process.exit(2);
}
const require = createRequire(import.meta.url);
const modules = fileURLToPath(new URL("node_modules", import.meta.url));
const model = path.join(modules, "kubernetes-models");
if (!fs.existsSync(model)) {
  console.error(`dump: ${model} is missing: run \`npm ci\` there first.`);
  process.exit(1);
}
const { version } = JSON.parse(fs.readFileSync(path.join(model, "package.json"), "utf8"));
if (version !== expectedVersion) {
  console.error(`dump: expected kubernetes-models ${expectedVersion}, got ${version}: run \`npm ci\`.`);
  process.exit(1);
}

// Each module hands its schema to `register`, after those that it refers to.
const definitions = {};
require(path.join(modules, "@kubernetes-models", "validate")).register = (id, schema) => {
  definitions[id] = schema;
};
for (const folder of [model, path.join(modules, "@kubernetes-models", "apimachinery")]) {
  const schemas = path.join(folder, "_schemas");
  for (const file of fs.readdirSync(schemas).sort()) {
    if (file.endsWith(".js")) require(path.join(schemas, file)).addSchema();
  }
}

// "io.k8s.api.core.v1.Pod#" is a schema of that name: one document holds them all.
const withLocalReferences = (key, value) =>
  key === "$ref" && typeof value === "string" ? `#/definitions/${value.replace(/#$/, "")}` : value;
const sorted = Object.fromEntries(Object.entries(definitions).sort(([a], [b]) => (a < b ? -1 : 1)));
fs.mkdirSync(directory, { recursive: true });
const out = path.join(directory, "kubernetes.json");
const document = { source: `kubernetes-models ${version}`, definitions: sorted };
fs.writeFileSync(out, JSON.stringify(document, withLocalReferences, 1) + "\n");
console.log(`${Object.keys(sorted).length} schemas in ${out}`);
