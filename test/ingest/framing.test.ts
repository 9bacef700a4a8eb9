import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Framer, type Piece } from '../../ingest/listeners/framing.ts';
import { contents } from '../support/fake-spool.ts';

/** Frames chunks; answers all pieces and how often a count was bad. */
function frame(chunks: readonly (string | Uint8Array)[], maxFrame = 1000): { pieces: Piece[]; badCounts: number } {
  let badCounts = 0;
  const framer = new Framer(maxFrame, () => {
    badCounts += 1;
  });
  const pieces = chunks.flatMap((chunk) => framer.push(Buffer.from(chunk)));
  return { pieces: [...pieces, ...framer.end()], badCounts };
}

function frames(chunks: readonly (string | Uint8Array)[], maxFrame?: number): string[] {
  return frame(chunks, maxFrame).pieces.flatMap(contents);
}

const chunked = fc
  .tuple(fc.uint8Array({ maxLength: 200 }), fc.array(fc.nat(200), { maxLength: 10 }))
  .map(([bytes, cuts]) => {
    const places = [...new Set([0, ...cuts.filter((cut) => cut < bytes.length), bytes.length])].sort((a, b) => a - b);
    return { bytes, chunks: places.slice(1).map((end, index) => bytes.subarray(places[index], end)) };
  });

test('a block ends at the last LF that arrived, and its rest begins the next', () => {
  const { pieces } = frame(['<1>a\n<1>b\n<1>c', 'd\n']);
  expect(pieces.map(({ kind, payload }) => [kind, Buffer.from(payload).toString()])).toEqual([
    ['lf-stream', '<1>a\n<1>b\n'],
    ['lf-stream', '<1>cd\n'],
  ]);
});

test.each([
  ['counts with a PRI', ['5 <1>ab6 <30>\nc'], ['<1>ab', '<30>\nc']],
  ['counts byte by byte', '5 <1>ab6 <30>\nc'.split(''), ['<1>ab', '<30>\nc']],
  ['digits without a PRI are a line', ['12 apples\n'], ['12 apples']],
  ['a zero at the start is a line', ['05 <1>ab\n'], ['05 <1>ab']],
  ['eight digits are a line', ['12345678 <1>\n'], ['12345678 <1>']],
  ['too short to decide', ['12'], ['12']],
  ['an LF alone', ['\n'], ['']],
])('the framing is decided once: %s', (_, chunks, expected) => {
  expect(frames(chunks)).toEqual(expected);
});

test('a bad count turns the rest into lines, with one note', () => {
  const { pieces, badCounts } = frame(['5 <1>ab', 'no count\nnone\n5 <1>ab\n']);
  expect(pieces.flatMap(contents)).toEqual(['<1>ab', 'no count', 'none', '5 <1>ab']);
  expect(badCounts).toBe(1);
});

test.each(['99999999 <1>', '0 <1>', '-5 <1>'])('a count such as %s takes no memory', (bad) => {
  const framer = new Framer(1000, () => undefined);
  framer.push(Buffer.from(`5 <1>ab${bad}`));
  expect(framer.held).toBeLessThan(200);
});

test('a frame over the bound is cut at the same places, whatever the chunks', () => {
  const text = `<1>${'x'.repeat(22)}\n<1>short\n<1>${'y'.repeat(7)}\n`;
  const expected = frame([text], 10);
  expect(expected.pieces.map(({ flags, payload }) => [flags, Buffer.from(payload).toString()])).toEqual([
    [{ cut: true }, '<1>xxxxxxx'],
    [{ cut: true, continued: true }, 'xxxxxxxxxx'],
    [{ continued: true }, 'xxxxx\n<1>short\n<1>yyyyyyy\n'],
  ]);
  expect(frames(text.split(''), 10)).toEqual(expected.pieces.flatMap(contents));
});

test('a counted frame over the bound is cut, and counting goes on after it', () => {
  const text = `25 <1>${'x'.repeat(22)}5 <1>ab`;
  for (const chunks of [[text], text.split('')]) {
    const { pieces, badCounts } = frame(chunks, 10);
    expect(pieces.map(({ kind, flags }) => [kind, flags])).toEqual([
      ['datagrams', { cut: true }],
      ['datagrams', { cut: true, continued: true }],
      ['datagrams', { continued: true }],
      ['octet-stream', {}],
    ]);
    expect(pieces.flatMap(contents).join('|')).toBe('<1>xxxxxxx|xxxxxxxxxx|xxxxx|<1>ab');
    expect(badCounts).toBe(0);
  }
});

test.each([
  ['a line', '<1>a\n<1>b', ['<1>a', '<1>b']],
  ['a counted frame', '5 <1>ab9 <1>x', ['<1>ab', '<1>x']],
])('what is unterminated at the end is a frame with a flag: %s', (_, text, expected) => {
  const { pieces } = frame([text]);
  expect(pieces.flatMap(contents)).toEqual(expected);
  expect(pieces.map(({ flags }) => flags.unterminated ?? false)).toEqual([false, true]);
});

test.each([
  ['lines', ['<1>a\n<1>bcd', 'ef\n<1>g\n'], '<1>a|<1>bcd|ef|<1>g'],
  ['counts', ['5 <1>ab9 <1>bcd', 'efg4 <1>h'], '<1>ab|<1>bcd|efg|<1>h'],
])('a rest that is cut to free memory goes on in the next piece: %s', (_, [first = '', second = ''], expected) => {
  const framer = new Framer(1000, () => undefined);
  const pieces = [...framer.push(Buffer.from(first)), ...framer.cut()];
  expect(framer.held).toBe(0);
  expect(pieces.at(-1)?.flags).toEqual({ cut: true });
  const later = framer.push(Buffer.from(second));
  expect(later[0]?.flags).toEqual({ continued: true });
  expect([...pieces, ...later, ...framer.end()].flatMap(contents).join('|')).toBe(expected);
});

test('tiny chunks cost no more memory than their bytes, doubled', () => {
  const framer = new Framer(1_000_000, () => undefined);
  framer.push(Buffer.from('x'));
  for (let sent = 0; sent < 100_000; sent += 1) framer.push(Buffer.from('x'));
  expect(framer.held).toBeLessThan(210_000);
});

test('any bytes in any chunks: the pieces are the input, and the frames do not depend on the chunks', () => {
  fc.assert(
    fc.property(chunked, fc.integer({ min: 1, max: 40 }), ({ bytes, chunks }, maxFrame) => {
      const { pieces } = frame([Buffer.from('x'), ...chunks], maxFrame);
      expect(Buffer.concat(pieces.map(({ payload }) => payload))).toEqual(Buffer.from([0x78, ...bytes]));
      expect(frames([Buffer.from([0x78, ...bytes])], maxFrame)).toEqual(pieces.flatMap(contents));
    }),
  );
});

test('counted frames come out as they went in, in any chunks', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 60 }), { minLength: 1 }),
      fc.integer({ min: 1, max: 50 }),
      (messages, size) => {
        const sent = messages.map((message) => Buffer.concat([Buffer.from('<1>'), message]));
        const stream = Buffer.concat(sent.flatMap((message) => [Buffer.from(`${message.length} `), message]));
        const chunks = Array.from({ length: Math.ceil(stream.length / size) }, (_, index) =>
          stream.subarray(index * size, (index + 1) * size),
        );
        const { pieces, badCounts } = frame(chunks);
        expect(pieces.flatMap(contents)).toEqual(sent.map((message) => message.toString('latin1')));
        expect(badCounts).toBe(0);
      },
    ),
  );
});

const hostile = fc
  .array(
    fc.constantFrom('12 ', '30 ', '3 ', '99999999 ', '1', '0', ' ', '<', '1>', '<30>', '\n', '5 <1>ab', '25 <1>', 'x'),
    {
      maxLength: 20,
    },
  )
  .map((parts) => `5 <1>ab${parts.join('')}`);

/** What is left of the stream after all pieces: of `datagrams` the counts are not in them. */
function rest(stream: string, pieces: readonly Piece[]): string {
  let at = 0;
  for (const piece of pieces) {
    const text = piece.kind === 'datagrams' ? contents(piece).join('') : Buffer.from(piece.payload).toString('latin1');
    const left = stream.slice(at);
    const count =
      piece.kind === 'datagrams' && piece.flags.continued !== true ? (/^\d+ /.exec(left)?.[0].length ?? 0) : 0;
    expect(left.slice(count).startsWith(text)).toBe(true);
    at += count + text.length;
  }
  return stream.slice(at);
}

test('hostile counted streams in any chunks: the same frames, and nothing but counts is missing', () => {
  fc.assert(
    fc.property(
      hostile,
      fc.integer({ min: 1, max: 40 }),
      fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1 }),
      (stream, maxFrame, sizes) => {
        const chunks: string[] = [];
        for (let at = 0; at < stream.length;) {
          const size = sizes[chunks.length % sizes.length] ?? 1;
          chunks.push(stream.slice(at, at + size));
          at += size;
        }
        const whole = frame([stream], maxFrame);
        const parts = frame(chunks, maxFrame);
        expect(parts.pieces.flatMap(contents)).toEqual(whole.pieces.flatMap(contents));
        expect(parts.badCounts).toBe(whole.badCounts);
        expect(rest(stream, whole.pieces)).toMatch(/^(?:\d+ )?$/);
        expect(rest(stream, parts.pieces)).toMatch(/^(?:\d+ )?$/);
      },
    ),
    { numRuns: 1000 },
  );
});
