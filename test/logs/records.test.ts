import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HttpError } from '../../src/http/errors.ts';
import { readRecords, type RecordFormat } from '../../src/logs/records.ts';

async function read(text: string | Uint8Array, format: RecordFormat): Promise<string[]> {
  const { count, lines } = await readRecords(typeof text === 'string' ? Buffer.from(text) : text, format);
  const all = Buffer.from(lines).toString().split('\n');
  expect(all.pop()).toBe('');
  expect(all).toHaveLength(count);
  return all;
}

async function problem(text: string | Uint8Array, format: RecordFormat): Promise<string> {
  try {
    await readRecords(typeof text === 'string' ? Buffer.from(text) : text, format);
  } catch (error) {
    if (error instanceof HttpError && error.status === 400) return error.message;
    throw error;
  }
  return '';
}

test.each<[RecordFormat, string, string[]]>([
  ['json', '{"a":1}', ['{"a":1}']],
  ['json', ' { "a" : [ 1 , { "b c" : "d  e" } ] }\r\n', ['{"a":[1,{"b c":"d  e"}]}']],
  ['json', '{}', ['{}']],
  ['json', '[]', []],
  ['json', ' [ {"a":1} ,\n\t{} ] ', ['{"a":1}', '{}']],
  ['json', '[{"a":"]}\\"[{,"}]', ['{"a":"]}\\"[{,"}']],
  ['json', '{"a":"\\\\"}', ['{"a":"\\\\"}']],
  ['json', '{"n":12345678901234567890.10,"n":1}', ['{"n":12345678901234567890.10,"n":1}']],
  ['json', '{"__proto__":{"x":1}}', ['{"__proto__":{"x":1}}']],
  ['json', '{"ü":"\u2028\u{1f600}"}', ['{"ü":"\u2028\u{1f600}"}']],
  ['ndjson', '{"a":1}\n{"a":2}\n', ['{"a":1}', '{"a":2}']],
  ['ndjson', '\r\n{"a": 1}\r\n\n  {"a":2}', ['{"a":1}', '{"a":2}']],
  ['ndjson', '', []],
  ['ndjson', '\n\n', []],
])('%s %j', async (format, text, lines) => {
  expect(await read(text, format)).toEqual(lines);
});

describe('what is wrong is said with its place', () => {
  test.each<[RecordFormat, string, RegExp]>([
    ['json', '', /the body is not a JSON object/],
    ['json', 'null', /the body is not a JSON object/],
    ['json', '{"a":1', /never closed/],
    ['json', '{"a":"1}', /a string is never closed/],
    ['json', '{"a":1 2}', /the body is not JSON/],
    ['json', '{"a":1}}', /something follows after the object/],
    ['json', '{"a":1}\n{"a":2}', /application\/x-ndjson/],
    ['json', '{a:1}', /the body is not JSON/],
    ['json', '{"a":1]', /the body is not JSON/],
    ['json', '{"a":"\n"}', /the body is not JSON/],
    ['json', '[{},{"a":},{}]', /record 1 of the array is not JSON/],
    ['json', '[{},1]', /record 1 of the array is not a JSON object/],
    ['json', '[{},]', /record 1 of the array is not a JSON object/],
    ['json', '[{} {}]', /after record 0 of the array a comma or \] is missing/],
    ['json', '[{}', /after record 0 of the array/],
    ['json', '[{}] x', /something follows after the array/],
    ['json', '[[{}]]', /record 0 of the array is not a JSON object/],
    ['ndjson', '{}\n{"a":\n1}\n', /line 2 is not JSON/],
    ['ndjson', '{}\n\n{} {}\n', /line 3: more follows/],
    ['ndjson', '[{}]\n', /line 1 is not a JSON object/],
    ['ndjson', `{}\n${'{"a":'.repeat(40)}1${'}'.repeat(40)}`, /line 2 nests deeper than 32 levels/],
    ['json', `{"a":${'['.repeat(100_000)}`, /nests deeper/],
    ['json', `{${Array.from({ length: 1001 }, (_, n) => `"${n}":1`).join(',')}}`, /more than 1000 keys/],
  ])('%s %.40j', async (format, text, message) => {
    expect(await problem(text, format)).toMatch(message);
  });

  test('bytes that are not UTF-8', async () => {
    expect(await problem(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 'json')).toMatch(/UTF-8/);
    expect(await problem(Buffer.from('{"a":"\u00e9"}', 'latin1'), 'ndjson')).toMatch(/UTF-8/);
  });

  test('1000 keys and 32 levels are not too many', async () => {
    await read(`{${Array.from({ length: 1000 }, (_, n) => `"${n}":1`).join(',')}}`, 'json');
    await read(`${'{"a":'.repeat(32)}1${'}'.repeat(32)}`, 'ndjson');
  });
});

const objects = fc.array(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 }), { maxKeys: 20 }));

test('whatever JSON says stays as it is, in each form', async () => {
  await fc.assert(
    fc.asyncProperty(objects, fc.constantFrom(0, 2, '\t'), async (records, indent) => {
      const expected = records.map((record) => JSON.stringify(record));
      expect(await read(JSON.stringify(records, undefined, indent), 'json')).toEqual(expected);
      expect(await read(expected.join('\n'), 'ndjson')).toEqual(expected);
    }),
  );
});

test('what JSON.parse does not take is never taken', async () => {
  const noise = fc
    .array(fc.constantFrom('{', '}', '[', ']', '"', ',', ':', '\\', ' ', '\n', '1', 'a', '{}', '"a":1'))
    .map((all) => all.join(''));
  await fc.assert(
    fc.asyncProperty(noise, async (text) => {
      let valid = true;
      try {
        JSON.parse(text);
      } catch {
        valid = false;
      }
      if (!valid) expect(await problem(text, 'json')).not.toBe('');
    }),
    { numRuns: 2000 },
  );
});
