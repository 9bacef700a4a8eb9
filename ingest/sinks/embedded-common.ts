import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Row } from './embedded-row.ts';

/**
 * What many documents of a file have alike is kept once, in its table `common`, and stands in `documents.json` as its
 * number between two U+0001, which no JSON has in it as it is.
 */
const mark = '\u0001';

/** Texts that a file's writer remembers. */
const mostRemembered = 10_000;

/** Takes out of documents what they have in common with those before them. */
export class CommonWriter {
  readonly #insert: StatementSync;
  /** Texts by their numbers; 0: it was seen once. */
  readonly #numbers = new Map<string, number>();

  /** The database must be closed, and this given up, where a transaction fails. */
  constructor(database: DatabaseSync) {
    this.#insert = database.prepare('INSERT INTO common (json) VALUES (?)');
  }

  /** A document as it is kept. */
  shorten({ json, common }: Row): string {
    if (common === undefined) return json;
    const { start, text } = common;
    let number = this.#numbers.get(text);
    if (number === undefined) {
      if (this.#numbers.size >= mostRemembered) this.#numbers.clear();
      this.#numbers.set(text, 0);
      return json;
    }
    if (number === 0) {
      number = Number(this.#insert.run(text).lastInsertRowid);
      this.#numbers.set(text, number);
    }
    return `${json.slice(0, start)}${mark}${number}${mark}${json.slice(start + text.length)}`;
  }
}

/** Puts what documents of a file have in common back into them. */
export function commonReader(database: DatabaseSync): (json: string) => string {
  const texts = new Map<string, string>();
  let find: StatementSync | undefined;
  const textOf = (number: string): string => {
    const known = texts.get(number);
    if (known !== undefined) return known;
    find ??= database.prepare('SELECT json FROM common WHERE number = ?');
    const found = find.get(number)?.['json'];
    if (typeof found !== 'string') throw new Error(`there is no common text ${number}`);
    if (texts.size >= mostRemembered) texts.clear();
    texts.set(number, found);
    return found;
  };
  return (json) => {
    const [start = '', number, end = ''] = json.split(mark);
    return number === undefined ? json : start + textOf(number) + end;
  };
}
