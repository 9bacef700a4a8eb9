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

test.each([
  ['a PRI and no header', ['<14>one\0<11>two\nthree\0'], ['<14>one', '<11>two\nthree']],
  ['a PRI and no header, byte by byte', '<14>one\0<11>two\nthree\0'.split(''), ['<14>one', '<11>two\nthree']],
  [
    'a time that is none of a header',
    ['<14>2026-08-03 10:00:00,123 INFO a\0<14>b\0'],
    ['<14>2026-08-03 10:00:00,123 INFO a', '<14>b'],
  ],
  ['very short', ['<14>\0<14>a\0'], ['<14>', '<14>a']],
  ['unterminated', ['<14>a\0<14>b'], ['<14>a', '<14>b']],
])('where a first frame without a header ends with NUL, all do: %s', (_, chunks, expected) => {
  expect(frames(chunks)).toEqual(expected);
});

test.each([
  ['an LF comes first', '<14>one\n<14>two\0<14>three\n', ['<14>one', '<14>two\0<14>three']],
  ['a header of RFC 3164', '<30>Aug  3 10:00:00 web[9]: a\0<30>b\n', ['<30>Aug  3 10:00:00 web[9]: a\0<30>b']],
  ['a header of RFC 5424', '<30>1 - - - - - - a\0<30>b\n', ['<30>1 - - - - - - a\0<30>b']],
  ['a time of RFC 3339', '<30>2026-08-03T10:00:00Z h a: b\0<30>c\n', ['<30>2026-08-03T10:00:00Z h a: b\0<30>c']],
  ['no PRI', 'a\0b\n', ['a\0b']],
])(
  'NUL is content, by which nobody makes frames, where the first frame shows something else: %s',
  (_, text, expected) => {
    expect(frames([text])).toEqual(expected);
    expect(frames(text.split(''))).toEqual(expected);
  },
);

test('a frame that ends with NUL and is over the bound is cut, and so is one to free its memory', () => {
  const text = `<14>a\0${'x'.repeat(25)}\0<14>b\0`;
  const expected = ['<14>a', 'x'.repeat(10), 'x'.repeat(10), 'x'.repeat(5), '<14>b'];
  expect(frames([text], 10)).toEqual(expected);
  expect(frames(text.split(''), 10)).toEqual(expected);
  const framer = new Framer(1000, () => undefined);
  const pieces = [
    ...framer.push(Buffer.from('<14>a\0<14>bcd')),
    ...framer.cut(),
    ...framer.push(Buffer.from('ef\0<14>g\0')),
  ];
  expect(pieces.flatMap(contents)).toEqual(['<14>a', '<14>bcd', 'ef', '<14>g']);
  expect(pieces.map(({ kind, flags }) => [kind, flags])).toEqual([
    ['datagrams', {}],
    ['datagrams', { cut: true }],
    ['datagrams', { continued: true }],
    ['datagrams', {}],
  ]);
});

test('a PROXY header is refused however it is cut, and what only begins like one is a line', () => {
  for (const header of ['PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n<1>a\n', '\r\n\r\n\0\r\nQUIT\n!<1>a\n']) {
    for (const chunks of [[header], header.split('')]) {
      const framer = new Framer(1000, () => undefined);
      expect(chunks.flatMap((chunk) => framer.push(Buffer.from(chunk)))).toEqual([]);
      expect(framer.refused).toBe(true);
      expect([...framer.end(), framer.held]).toEqual([0]);
    }
  }
  expect(frames(['PROXY', 'ING\n'])).toEqual(['PROXYING']);
  expect(frames(['PROX'])).toEqual(['PROX']);
  expect(frames(['\r\n', '\r\nx\n'])).toEqual(['\r', '\r', 'x']);
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

test('a stream without headers in any chunks: the same frames', () => {
  const parts = fc.constantFrom('<14>', '<14', '1 ', '2026-08-03', 'Aug ', ' ', 'x', 'yy', '\0', '\n', 'PROXY ', '\r');
  fc.assert(
    fc.property(
      fc.array(parts, { maxLength: 25 }),
      fc.integer({ min: 1, max: 40 }),
      fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1 }),
      (found, maxFrame, sizes) => {
        const stream = found.join('');
        const chunks: string[] = [];
        for (let at = 0; at < stream.length;) {
          const size = sizes[chunks.length % sizes.length] ?? 1;
          chunks.push(stream.slice(at, at + size));
          at += size;
        }
        expect(frames(chunks, maxFrame)).toEqual(frames([stream], maxFrame));
      },
    ),
    { numRuns: 1000 },
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
