// What a member may look like. The rules are data: members.json.

import { readFileSync } from "node:fs";

const rules = JSON.parse(readFileSync(new URL("./members.json", import.meta.url), "utf8"));
export const UNIQUE = rules.unique;
export const PAGE_SIZE = rules.pageSize;
export const LARGEST_PAGE = 100;

/** A request that breaks a rule; the message says which. */
export class Invalid extends Error {}

const KINDS = {
  string: (value, rule) => typeof value === "string" && value.length >= 1 && value.length <= rule.maxLength,
  number: (value, rule) => typeof value === "number" && value >= rule.minimum && value <= rule.maximum,
  boolean: (value) => typeof value === "boolean",
};

/** The fields of a new member. */
export function fieldsOf(body) {
  const missing = Object.keys(rules.fields).find((name) => rules.fields[name].required && !Object.hasOwn(body, name));
  if (missing) throw new Invalid(`${missing} is missing`);
  return checked(body);
}

/** The version that a change was made for, and the fields that it sets. */
export function changesOf({ version, ...fields }) {
  if (!Number.isInteger(version) || version < 1) throw new Invalid("version has to be a whole number above 0");
  if (Object.hasOwn(fields, UNIQUE)) throw new Invalid(`${UNIQUE} can't be changed`);
  if (Object.keys(fields).length === 0) throw new Invalid("there is nothing to change");
  return { version, fields: checked(fields) };
}

function checked(fields) {
  for (const [name, value] of Object.entries(fields)) {
    if (!Object.hasOwn(rules.fields, name)) throw new Invalid("there is a field that members don't have");
    const rule = rules.fields[name];
    if (!KINDS[rule.type](value, rule)) throw new Invalid(`${name} is not a ${rule.type} within its bounds`);
  }
  return fields;
}
