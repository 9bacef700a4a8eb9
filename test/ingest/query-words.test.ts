import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { indexText, words } from '../../ingest/query/words.ts';
import { nastyTexts } from '../support/sink-contract.ts';

const table: [string, string[]][] = [
  ['Hello, World!', ['hello', 'world']],
  ['snake_case a-b 10.0.0.1', ['snake', 'case', 'a', 'b', '10', '0', '0', '1']],
  ['', []],
  ['---', []],
  ['ÄÖÜ Straße', ['äöü', 'straße']],
  ['a\u0308 e\u0301', ['a\u0308', 'e\u0301']],
  ['İI', ['ii']],
  ['ΣΑΣ ς', ['σασ', 'ς']],
  ['日本語 ログ', ['日本語', 'ログ']],
  ['x²½Ⅷ', ['x²½ⅷ']],
  ['\u{10400}\u{1f600}b', ['\u{10428}', 'b']],
  ['a\u00a0b\u200bc\u00add\ufeffe\u0000f', ['a', 'b', 'c', 'd', 'e', 'f']],
  ['\ue000 \u{f0000}', ['\ue000', '\u{f0000}']],
  ['x'.repeat(255), ['x'.repeat(255)]],
  ['X'.repeat(511), ['x'.repeat(255), 'x'.repeat(255), 'x']],
  [`${'x'.repeat(254)}\u{10428}yy`, [`${'x'.repeat(254)}\u{10428}`, 'yy']],
];

test.each(table)('%j is cut into its words', (text, expected) => {
  expect(words(text)).toEqual(expected);
});

test('words of words are the same words', () => {
  for (const text of nastyTexts) expect(words(words(text).join(' '))).toEqual(words(text));
});

test('FTS5 cuts every prepared text into the same words', () => {
  using database = new DatabaseSync(':memory:');
  database.exec("CREATE VIRTUAL TABLE t USING fts5 (message, content = '', tokenize = 'ascii')");
  database.exec("CREATE VIRTUAL TABLE v USING fts5vocab (t, 'instance')");
  const texts = [...table.map(([text]) => text), ...nastyTexts];
  const insert = database.prepare('INSERT INTO t (rowid, message) VALUES (?, ?)');
  texts.forEach((text, index) => insert.run(index + 1, indexText(text)));
  const found = texts.map((_, index) =>
    database
      .prepare('SELECT term FROM v WHERE doc = ? ORDER BY offset')
      .all(index + 1)
      .map(({ term }) => term),
  );
  expect(found).toEqual(texts.map(words));
});
