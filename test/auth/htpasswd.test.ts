import { describe, expect, test } from 'vitest';
import { costOf, editHtpasswd, parseHtpasswd } from '../../src/auth/htpasswd.ts';

const hash = (version: string, cost: string): string => `$2${version}$${cost}$${'a'.repeat(53)}`;

test.each<[string, number | undefined]>([
  [hash('y', '10'), 10],
  [hash('a', '04'), 4],
  [hash('b', '16'), 16],
  [hash('x', '10'), undefined],
  [hash('y', '03'), undefined],
  [hash('y', '17'), undefined],
  [hash('y', '31'), undefined],
  [`${hash('y', '10')}a`, undefined],
  ['$apr1$salt$abcdefghijklmnopqrstuv', undefined],
  ['{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk=', undefined],
  ['plain', undefined],
])('the cost of %s is %s', (text, cost) => {
  expect(costOf(text)).toBe(cost);
});

test('only lines with bcrypt are taken, the last of a user counts, and the numbers of the bad ones are told', () => {
  const [one, two] = [hash('y', '10'), hash('b', '05')];
  const text = `# users\n\nann:${one}\r\nbob:plain\n:${one}\nno colon\nann:${two}\n__proto__:${one}\n`;
  const { users, bad } = parseHtpasswd(text);
  expect([...users]).toEqual([
    ['ann', two],
    ['__proto__', one],
  ]);
  expect(bad).toEqual([4, 5, 6]);
});

describe('an edit leaves every other line as it is', () => {
  const old = '# users\nann:1\n\nbob:2\nann:3';
  test.each<[string, string | undefined, string]>([
    ['eve', '9', '# users\nann:1\n\nbob:2\nann:3\neve:9\n'],
    ['ann', '9', '# users\nann:9\n\nbob:2\n'],
    ['bob', undefined, '# users\nann:1\n\nann:3\n'],
    ['an', undefined, '# users\nann:1\n\nbob:2\nann:3\n'],
  ])('%s: %s', (user, line, expected) => {
    expect(editHtpasswd(old, user, line)).toBe(expected);
  });

  test('of a file that was empty', () => {
    expect(editHtpasswd('', 'ann', '1')).toBe('ann:1\n');
  });
});
