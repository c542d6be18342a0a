// The lint of all JavaScript in the checkout, whose packages `make tools` installs; tests/test_javascript.py runs it.
import { createRequire } from "node:module";

const require = createRequire(new URL("../../.venv/share/scnet/javascript/", import.meta.url));
const js = require("@eslint/js");
const globals = require("globals");

const MARKUP = "Set textContent: what a person or a centre wrote is no markup.";
const banned = (...properties) => ["error", ...properties.map((property) => ({ property, message: MARKUP })), { object: "document", property: "write", message: MARKUP }];

const RULES = {
  ...js.configs.recommended.rules,
  eqeqeq: "error",
  "no-implied-eval": "error",
  "no-eval": "error",
  "no-shadow": "error",
  "no-unused-vars": ["error", { args: "after-used", caughtErrors: "all" }],
  "no-var": "error",
  "object-shorthand": "error",
  "prefer-const": "error",
  "prefer-template": "error",
  "no-restricted-properties": banned("outerHTML", "insertAdjacentHTML"),
};

export default [
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  { files: ["scnet_hub/**/*.js"], languageOptions: { sourceType: "module", globals: globals.browser }, rules: { ...RULES, "no-restricted-properties": banned("outerHTML", "insertAdjacentHTML", "innerHTML") } },
  { files: ["extensions/**/*.js"], languageOptions: { sourceType: "script", globals: globals.browser }, rules: RULES },
  { files: ["extensions/hub/static/scnet-times.js"], languageOptions: { sourceType: "module", globals: globals.browser }, rules: RULES },
  {
    files: ["extensions/javascript/*.js", "tests/**/*.mjs"],
    languageOptions: { sourceType: "module", globals: { ...globals.node, ...globals.browser } },
    rules: RULES,
  },
];
