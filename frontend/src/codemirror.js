import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { go } from "@codemirror/lang-go";
import { java } from "@codemirror/lang-java";
import { javascript } from "@codemirror/lang-javascript";
import { json, jsonLanguage } from "@codemirror/lang-json";
import { python } from "@codemirror/lang-python";
import { yaml, yamlLanguage } from "@codemirror/lang-yaml";
import {
  HighlightStyle,
  bracketMatching,
  foldGutter,
  foldKeymap,
  indentOnInput,
  indentUnit,
  syntaxHighlighting,
} from "@codemirror/language";
import { lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import { EditorState } from "@codemirror/state";
import {
  EditorView,
  drawSelection,
  dropCursor,
  highlightActiveLine,
  highlightActiveLineGutter,
  highlightSpecialChars,
  keymap,
  lineNumbers,
} from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { t } from "./texts.js";

// Colours come from the page's variables, so that light and dark need no second theme here.
const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.controlKeyword, tags.operatorKeyword, tags.moduleKeyword], color: "var(--code-keyword)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--code-string)" },
  { tag: [tags.number, tags.bool, tags.null, tags.atom], color: "var(--code-number)" },
  { tag: [tags.comment, tags.lineComment, tags.blockComment], color: "var(--code-comment)", fontStyle: "italic" },
  { tag: [tags.definition(tags.propertyName), tags.propertyName], color: "var(--code-key)" },
  { tag: [tags.function(tags.variableName), tags.definition(tags.variableName)], color: "var(--code-name)" },
  { tag: [tags.typeName, tags.className, tags.tagName], color: "var(--code-type)" },
  { tag: tags.meta, color: "var(--code-comment)" },
  { tag: tags.invalid, color: "var(--bad)" },
]);

const look = EditorView.theme({
  "&": { height: "100%", backgroundColor: "transparent", color: "var(--ink)", fontSize: "0.8438rem" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.65", fontVariantLigatures: "none" },
  ".cm-content": { padding: "0.75rem 0", caretColor: "var(--accent)" },
  ".cm-line": { padding: "0 1rem 0 0.5rem" },
  ".cm-gutters": { backgroundColor: "transparent", color: "var(--faint)", border: "none", paddingLeft: "0.25rem" },
  ".cm-activeLine": { backgroundColor: "var(--code-line)" },
  ".cm-activeLineGutter": { backgroundColor: "transparent", color: "var(--ink)" },
  ".cm-cursor": { borderLeftColor: "var(--accent)", borderLeftWidth: "2px" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "var(--code-selection) !important",
  },
  ".cm-matchingBracket, &.cm-focused .cm-matchingBracket": { backgroundColor: "var(--code-selection)", outline: "none" },
  ".cm-panels": { backgroundColor: "var(--ground)", color: "var(--ink)", borderColor: "var(--line)" },
  ".cm-tooltip": { backgroundColor: "var(--paper)", color: "var(--ink)", border: "1px solid var(--line)", borderRadius: "6px" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--on-accent)" },
});

// What the Amazon States Language has words for: https://states-language.net/spec.html
const STATES = {
  fields:
    "Arguments Assign Branches Catch Choices Comment Condition Default End ErrorEquals HeartbeatSeconds InputPath IntervalSeconds " +
    "ItemBatcher ItemProcessor ItemReader ItemSelector Items ItemsPath JitterStrategy MaxAttempts MaxConcurrency MaxDelaySeconds Next " +
    "Output OutputPath Parameters ProcessorConfig QueryLanguage Resource Result ResultPath ResultSelector ResultWriter Retry Seconds " +
    "StartAt States TimeoutSeconds Timestamp ToleratedFailurePercentage Type Variable BackoffRate BooleanEquals IsPresent " +
    "NumericEquals NumericGreaterThan NumericLessThan StringEquals StringMatches And Or Not Error Cause",
  values:
    "Task Pass Choice Wait Succeed Fail Parallel Map INLINE DISTRIBUTED STANDARD EXPRESS JSONata JSONPath FULL NONE " +
    "States.ALL States.TaskFailed States.Timeout States.HeartbeatTimeout States.Permissions States.DataLimitExceeded " +
    "arn:aws:states:::lambda:invoke arn:aws:states:::dynamodb:putItem arn:aws:states:::dynamodb:getItem " +
    "arn:aws:states:::dynamodb:updateItem arn:aws:states:::sqs:sendMessage arn:aws:states:::sns:publish " +
    "arn:aws:states:::events:putEvents arn:aws:states:::states:startExecution.sync:2",
};
const stateWords = [
  ...STATES.fields.split(" ").map((label) => ({ label, type: "property" })),
  ...STATES.values.split(" ").map((label) => ({ label, type: "constant" })),
];

function stateWord(context) {
  const word = context.matchBefore(/[\w.:]+/);
  return word || context.explicit ? { from: word?.from ?? context.pos, options: stateWords, validFor: /^[\w.:]*$/ } : null;
}

function language(path) {
  const states = /\.asl\.(json|ya?ml)$/.test(path);
  const ending = path.slice(path.lastIndexOf(".") + 1).toLowerCase();
  if (ending === "py") return [python(), indentUnit.of("    ")];
  if (ending === "yaml" || ending === "yml") return [yaml(), indentUnit.of("  "), states ? yamlLanguage.data.of({ autocomplete: stateWord }) : []];
  if (ending === "json") return [json(), indentUnit.of("  "), states ? jsonLanguage.data.of({ autocomplete: stateWord }) : []];
  if (ending === "java") return [java(), indentUnit.of("    ")];
  if (ending === "go") return [go(), indentUnit.of("\t")];
  if (["js", "mjs", "cjs", "ts"].includes(ending)) return [javascript({ typescript: ending === "ts" }), indentUnit.of("  ")];
  return [];
}

export function stateOf(path, text, nonce, onChange) {
  return EditorState.create({
    doc: text,
    extensions: [
      EditorView.cspNonce.of(nonce),
      EditorView.contentAttributes.of({ "aria-label": t("Contents of %(path)s", { path }), spellcheck: "false", tabindex: "0" }),
      lineNumbers(),
      highlightActiveLineGutter(),
      highlightSpecialChars(),
      history(),
      foldGutter(),
      lintGutter(),
      drawSelection(),
      dropCursor(),
      EditorState.allowMultipleSelections.of(true),
      indentOnInput(),
      bracketMatching(),
      closeBrackets(),
      autocompletion(),
      highlightActiveLine(),
      highlightSelectionMatches(),
      syntaxHighlighting(colours),
      look,
      language(path),
      // Tab indents; Escape, then Tab, leaves the editor (the page says so).
      keymap.of([
        ...closeBracketsKeymap,
        ...defaultKeymap,
        ...searchKeymap,
        ...historyKeymap,
        ...foldKeymap,
        ...completionKeymap,
        ...lintKeymap,
        indentWithTab,
      ]),
      EditorView.updateListener.of((update) => update.docChanged && onChange(path, update.state)),
    ],
  });
}

export function viewIn(parent, state) {
  return new EditorView({ parent, state });
}

export function mark(state, problem) {
  const line = state.doc.line(Math.min(Math.max(problem?.line ?? 1, 1), state.doc.lines));
  const found = problem ? [{ from: line.from, to: line.to, severity: "error", message: problem.message }] : [];
  return setDiagnostics(state, found);
}

export function goTo(view, number) {
  const line = view.state.doc.line(Math.min(Math.max(number, 1), view.state.doc.lines));
  view.dispatch({ selection: { anchor: line.from }, effects: EditorView.scrollIntoView(line.from, { y: "center" }) });
}

// Marks each problem `{line, column, end_line, end_column, level, message}` where it is.
export function markAll(view, problems) {
  const { doc } = view.state;
  const place = (line, column) => {
    const found = doc.line(Math.min(Math.max(line, 1), doc.lines));
    return Math.min(found.from + Math.max(column, 1) - 1, found.to);
  };
  const diagnostics = problems.map((problem) => {
    const from = place(problem.line, problem.column);
    const to = Math.max(from, place(problem.end_line, problem.end_column));
    const severity = problem.level === "error" ? "error" : problem.level === "warning" ? "warning" : "info";
    return { from, to, severity, message: problem.message, source: problem.rule };
  });
  view.dispatch(setDiagnostics(view.state, diagnostics));
}
