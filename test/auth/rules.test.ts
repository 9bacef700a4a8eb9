import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { compileGlob } from '../../src/auth/glob.ts';
import { createRules, type Rule } from '../../src/auth/rules.ts';

test.each<[pattern: string, matching: string[], others: string[]]>([
  ['**', ['a', 'a/b', 'a/b/c', ''], []],
  ['*', ['a', 'team-a', ''], ['a/b']],
  ['team-a', ['team-a'], ['team-a/web', 'team-ab', 'xteam-a', 'team']],
  ['team-a/**', ['team-a/web', 'team-a/web/x'], ['team-a', 'team-ab/web', 'team-b/web']],
  ['team-a/*', ['team-a/web'], ['team-a', 'team-a/web/x']],
  ['team-*/web', ['team-a/web', 'team-/web'], ['team-a/b/web', 'team-a/webs', 'team-a']],
  ['**/web', ['a/web', 'a/b/web'], ['web', 'a/webs']],
  ['a**z', ['az', 'abz', 'a/b/z'], ['a', 'z', 'abzy']],
  ['a.b', ['a.b'], ['axb']],
  ['***', ['a/b'], []],
])('%s', (pattern, matching, others) => {
  const matches = compileGlob(pattern);
  expect(matching.filter((name) => !matches(name))).toEqual([]);
  expect(others.filter(matches)).toEqual([]);
});

test('a pattern means what the regular expression of its stars means', () => {
  const text = (...parts: string[]) =>
    fc.array(fc.constantFrom(...parts), { maxLength: 10 }).map((list) => list.join(''));
  fc.assert(
    fc.property(text('a', 'b', '/', '*', '**'), text('a', 'b', '/'), (pattern, name) => {
      const expression = pattern.replace(/\*+/g, (stars) => (stars.length > 1 ? '.*' : '[^/]*'));
      expect(compileGlob(pattern)(name)).toBe(new RegExp(`^${expression}$`).test(name));
    }),
    { numRuns: 2000 },
  );
});

test('a rule that allows nothing lets nobody in', () => {
  const rule = { repositories: '**', users: ['anonymous', '*'] };
  expect(createRules([{ ...rule, actions: [] }]).letAnonymousIn).toBe(false);
  expect(createRules([{ ...rule, actions: ['pull'] }]).letAnonymousIn).toBe(true);
});

test('no pattern explodes', () => {
  const name = `${'a'.repeat(127)}/${'a'.repeat(127)}`;
  for (const star of ['*', '**', '***', '*a*', '**a*']) {
    expect(compileGlob(`${`${star}a`.repeat(80)}b`)(name)).toBe(false);
  }
});

/** As the manual tells it, by regular expressions. */
function model(rules: readonly Rule[], user: string | undefined, action: string, repository: string): boolean {
  for (const rule of rules) {
    const names = user === undefined ? ['anonymous'] : ['*', user];
    if (!rule.users.some((name) => names.includes(name))) continue;
    const patterns = typeof rule.repositories === 'string' ? [rule.repositories] : rule.repositories;
    const expressions = patterns.map((pattern) => pattern.replaceAll('**', '.*').replace(/(?<!\.)\*/g, '[^/]*'));
    if (!expressions.some((text) => new RegExp(`^${text}$`).test(repository))) continue;
    return rule.actions.some((allowed) => allowed === action);
  }
  return rules.length === 0 && user !== undefined;
}

test('the first rule that names user and repository decides, whatever the rules', () => {
  const actions = ['pull', 'push', 'delete'] as const;
  const pattern = fc.constantFrom('**', '*', 'a', 'a/**', 'a/*', '*/b', 'a/b/c');
  const rule = fc.record({
    repositories: fc.oneof(pattern, fc.array(pattern, { maxLength: 2 })),
    users: fc.subarray(['*', 'anonymous', 'ann', 'bob']),
    actions: fc.subarray([...actions]),
  });
  const repositories = ['a', 'b', 'a/b', 'b/b', 'a/b/c'];
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 5 }), (list) => {
      const rules = createRules(list);
      for (const user of [undefined, 'ann', 'bob', 'eve']) {
        for (const action of actions) {
          for (const name of repositories) {
            const expected = model(list, user, action, name);
            expect(rules.may(user, action, name), `${user} ${action} ${name}`).toBe(expected);
            if (user === undefined && expected) expect(rules.letAnonymousIn).toBe(true);
          }
        }
      }
    }),
    { numRuns: 500 },
  );
});
