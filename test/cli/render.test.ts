import { expect, test } from 'vitest';
import { renderJson, renderRecord } from '../../src/cli/render.ts';
import { escapeControls } from '../../src/escape.ts';

const whole = {
  '@timestamp': '2026-08-03T10:00:00.123Z',
  message: 'GET / 200',
  host: { name: 'node1' },
  orchestrator: { cluster: { name: 'prod' } },
  container: {
    name: 'web-1',
    image: { name: 'registry.corp/team/web', tag: ['1.4'], hash: { all: [`sha256:${'0123456789abcdef'.repeat(4)}`] } },
  },
  shiplog: { image: { repository: 'team/web' } },
  log: { level: 'error' },
};

test.each<[string, unknown, string]>([
  ['all of it', whole, '2026-08-03T10:00:00.123Z prod/node1 web-1 team/web:1.4@sha256:0123456789ab error GET / 200'],
  [
    'a service',
    { ...whole, container: undefined, service: { name: 'api' } },
    '2026-08-03T10:00:00.123Z prod/node1 api team/web error GET / 200',
  ],
  ['a container without a name', { container: { id: '0123456789abcdef' } }, '- - 0123456789ab - - '],
  ['a program', { log: { syslog: { appname: 'cron' } }, message: 'a\tb' }, '- - cron - - a\tb'],
  ['nothing', {}, '- - - - - '],
  ['odd types', { message: { a: 1 }, host: 'x', container: [], log: null }, '- - - - - '],
  ['no record at all', null, '- - - - - '],
])('a line of %s', (_what, record, line) => {
  expect(renderRecord(record, { colour: false })).toBe(line);
});

test('the level has a colour, and nothing else has', () => {
  expect(renderRecord(whole, { colour: true })).toBe(
    '2026-08-03T10:00:00.123Z prod/node1 web-1 team/web:1.4@sha256:0123456789ab \u001b[31merror\u001b[0m GET / 200',
  );
});

test('no field of a record can steer a terminal or begin a line', () => {
  for (let code = 0; code <= 0x2100; code += 1) {
    const text = `a${String.fromCharCode(code)}b`;
    const record = { ...whole, message: text, host: { name: text }, container: { name: text }, log: { level: text } };
    const line = renderRecord(record, { colour: true });
    const steers = /[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u;
    // A tab in a message stands as it is; in any other field it would pass for a border.
    expect(steers.test(line.replace(/a\tb$/, '')), code.toString(16)).toBe(false);
    expect(steers.test(escapeControls(text))).toBe(false);
    expect(/\p{Cc}/u.test(renderJson(record)), code.toString(16)).toBe(false);
    expect(JSON.parse(renderJson(record))).toEqual(record);
  }
  expect(escapeControls('\u001b[31m\u009b\r\n\u2028')).toBe('\\x1b[31m\\x9b\\x0d\\x0a\\u2028');
});
