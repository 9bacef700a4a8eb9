import { z } from 'zod';
import { levelOf } from '../../ingest/parse/level.ts';
import { compilePattern, PatternError } from '../../ingest/rules/pattern.ts';
import type { RateLimit } from '../../ingest/rules/rate.ts';
import { builtIns } from '../../ingest/rules/redact.ts';
import { settable } from '../../ingest/rules/rule.ts';
import { text, textual } from './values.ts';

const names = z.union([text, z.array(text)], { error: 'expected a name, in which * stands for anything, or a list' });

const level = z.string({ error: 'expected a level such as info' }).refine((name) => levelOf(name) === name, {
  error: 'expected trace, debug, info, notice, warning, error, critical, alert, emergency or fatal',
});

const pattern = z
  .string({ error: 'expected a regular expression' })
  .min(1, { error: 'expected a regular expression' })
  .superRefine((source, context) => {
    try {
      compilePattern(source);
    } catch (error) {
      if (!(error instanceof PatternError)) throw error;
      context.addIssue({ code: 'custom', message: `expected a regular expression of RE2: ${error.message}` });
    }
  });

const secret = z.union(
  [z.enum(['bearer', 'url-password', 'card'] satisfies (keyof typeof builtIns)[]), z.strictObject({ pattern })],
  { error: `expected ${Object.keys(builtIns).join(', ')} or { pattern: … }, a regular expression of RE2` },
);

const fields = z.record(z.string(), text, { error: 'expected fields and texts' }).superRefine((members, context) => {
  for (const [name, value] of Object.entries(members)) {
    if (!settable.some((one) => one === name) && !/^labels\.[A-Za-z][\w-]{0,62}$/.test(name)) {
      const message = `expected ${settable.join(', ')} or labels.…, not ${name}`;
      context.addIssue({ code: 'custom', message });
    } else if (name === 'log.level' && !level.safeParse(value).success) {
      context.addIssue({ code: 'custom', message: 'expected a level such as info at log.level' });
    }
  }
});

const actions = ['drop', 'sample', 'redact', 'set'] as const;

const rule = z
  .strictObject({
    name: z
      .string({ error: 'expected a name' })
      .regex(/^[a-z\d][a-z\d-]{0,62}$/, { error: 'expected a name of lower-case letters, digits and -' }),
    image: names.optional(),
    host: names.optional(),
    cluster: names.optional(),
    container: names.optional(),
    level: z.array(level, { error: 'expected a list of levels' }).optional(),
    contains: text.optional(),
    matches: pattern.optional(),
    drop: z.literal(true, { error: 'expected true' }).optional(),
    sample: z
      .int({ error: 'expected a number' })
      .min(2, { error: 'expected 2 or more: one record of so many is kept' })
      .optional(),
    redact: z.array(secret, { error: 'expected a list' }).min(1, { error: 'expected what to redact' }).optional(),
    set: fields.optional(),
  })
  .refine((given) => actions.filter((action) => given[action] !== undefined).length === 1, {
    error: 'expected one of drop, sample, redact and set',
  });

/** `ingest.rules` */
export const logRules = z
  .array(rule, { error: "expected a list such as [{ name: health, contains: 'GET /healthz', drop: true }]" })
  .refine((rules) => new Set(rules.map(({ name }) => name)).size === rules.length, {
    error: 'expected a name of its own for each rule',
  })
  .meta({ kind: 'list of rules' })
  .default([]);

const units = { s: 1000, m: 60_000, h: 3_600_000 } as const;

/** `ingest.rate_limit`: records of a container in a second, minute or hour. */
export const rateLimit = textual<RateLimit | 'off'>(
  'expected a rate such as 5000/s or 100000/m, or off',
  (given) => {
    if (given === 'off') return given;
    const [, digits, unit] = /^([1-9]\d{0,8})\/([smh])$/.exec(given) ?? [];
    const known = (['s', 'm', 'h'] as const).find((one) => one === unit);
    return known === undefined ? undefined : { records: Number(digits), per: units[known] };
  },
  (value) => (value === 'off' ? value : `${value.records}/${{ 1000: 's', 60000: 'm' }[value.per] ?? 'h'}`),
).meta({ kind: 'rate, or off' });
