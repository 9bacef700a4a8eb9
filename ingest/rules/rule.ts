import type { CommonFacts } from '../record.ts';
import { globMatcher } from './glob.ts';
import { compilePattern } from './pattern.ts';
import { builtIns, type BuiltIn, type Redact, redacted } from './redact.ts';

/** Which records a rule is for: all that is given must hold. In `image` to `container`, `*` stands for any characters. */
export interface Match {
  /** The image's name as Docker knew it, or that without the registry's host; no tag. */
  readonly image?: readonly string[];
  readonly host?: readonly string[];
  readonly cluster?: readonly string[];
  /** A container's name or id. */
  readonly container?: readonly string[];
  readonly level?: readonly string[];
  /** What the line has in it, as the application wrote it. */
  readonly contains?: string;
  /** A regular expression of RE2's syntax that matches somewhere in the line. */
  readonly matches?: string;
}

/** What a rule does. */
export type Action =
  | { readonly kind: 'drop' }
  /** One record of so many is kept. */
  | { readonly kind: 'sample'; readonly of: number }
  | { readonly kind: 'redact'; readonly patterns: readonly (BuiltIn | { readonly pattern: string })[] }
  /** Names of `settable`, and labels: `labels.team`. */
  | { readonly kind: 'set'; readonly fields: Readonly<Record<string, string>> };

/** A rule as the configuration has it. */
export interface Rule {
  /** By which it is counted. */
  readonly name: string;
  readonly match: Match;
  readonly action: Action;
}

/** Fields that a rule may set, besides labels: none says where a document goes, or who wrote it. */
export const settable = ['log.level', 'service.name', 'service.version', 'service.environment'] as const;

/** A rule that is ready. */
export interface ReadyRule {
  readonly name: string;
  /** Whether it may be for records with these facts. */
  readonly suits: (facts: CommonFacts) => boolean;
  /** Whether it is for a record of those. */
  readonly matches: (level: string | undefined, line: string) => boolean;
  readonly action: ReadyAction;
}

type ReadyAction =
  | Exclude<Action, { kind: 'redact' | 'set' }>
  | { readonly kind: 'redact'; readonly redact: Redact }
  | {
      readonly kind: 'set';
      readonly assigned: { readonly level?: string; readonly ecs: Readonly<Record<string, object>> };
    };

/** @throws {PatternError} */
export function readyRule({ name, match, action }: Rule): ReadyRule {
  const [image, host, cluster, container] = [match.image, match.host, match.cluster, match.container].map(anyOf);
  const { level: levels, contains } = match;
  const pattern = match.matches === undefined ? undefined : compilePattern(match.matches);
  return {
    name,
    suits: (facts) =>
      host?.(facts.host) !== false &&
      cluster?.(facts.cluster) !== false &&
      image?.(facts.container?.imageName, facts.container?.repository) !== false &&
      container?.(facts.container?.name, facts.container?.id) !== false,
    matches: (level, line) =>
      (levels === undefined || (level !== undefined && levels.includes(level))) &&
      (contains === undefined || line.includes(contains)) &&
      (pattern === undefined || pattern.test(line)),
    action: readyAction(action),
  };
}

/** Tells whether one of some texts is what one of some patterns says. */
function anyOf(patterns: readonly string[] | undefined): ((...texts: (string | undefined)[]) => boolean) | undefined {
  const matchers = patterns?.map(globMatcher);
  return matchers && ((...texts) => texts.some((text) => text !== undefined && matchers.some((is) => is(text))));
}

function readyAction(action: Action): ReadyAction {
  switch (action.kind) {
    case 'drop':
    case 'sample':
      return action;
    case 'redact': {
      const redactors = action.patterns.map(redactorOf);
      return { kind: 'redact', redact: (text) => redactors.reduce((left, redact) => redact(left), text) };
    }
    case 'set': {
      const ecs: Record<string, Record<string, string>> = {};
      for (const [name, value] of Object.entries(action.fields)) {
        const dot = name.indexOf('.');
        if (name !== 'log.level') (ecs[name.slice(0, dot)] ??= {})[name.slice(dot + 1)] = value;
      }
      const level = action.fields['log.level'];
      return { kind: 'set', assigned: { ecs, ...(level !== undefined && { level }) } };
    }
  }
}

function redactorOf(pattern: BuiltIn | { readonly pattern: string }): Redact {
  if (typeof pattern === 'string') return builtIns[pattern];
  const compiled = compilePattern(pattern.pattern);
  // What is redacted stays as it is, whatever the pattern: a text may pass here again, as part of another.
  return (text) =>
    text
      .split(redacted)
      .map((part) => compiled.replace(part, redacted))
      .join(redacted);
}
