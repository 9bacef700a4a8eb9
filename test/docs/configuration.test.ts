import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { keys } from '../../src/config/keys.ts';
import { page, withReference } from './reference.ts';

test('the reference of the configuration is what the schema says; else run npm run docs', () => {
  const text = readFileSync(page, 'utf8');
  expect(text).toBe(withReference(text));
});

test('every key says what it is for, in a sentence', () => {
  expect(
    [...keys.values()].filter(({ description }) => !/^[A-Z`].*\.$/.test(description)).map(({ name }) => name),
  ).toEqual([]);
});
