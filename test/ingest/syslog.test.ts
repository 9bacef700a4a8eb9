import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { findStamp, parseSyslog, readAgain } from '../../ingest/parse/syslog.ts';

const bsd = 'Aug  3 10:00:00';
const iso = '2026-08-03T10:00:00+02:00';
const micro = '2026-08-03T10:00:00.123456+02:00';
const v1 = `v1|${'ab'.repeat(32)}|web|registry.corp:5000/team/web:1.4|sha256:${'cd'.repeat(32)}|node1|prod`;

interface Expected {
  readonly host?: string;
  readonly app?: string;
  readonly pid?: string;
  readonly message: string;
  readonly docker?: boolean;
}

test.each<[string, string, Expected]>([
  [
    "Docker's default, without a host",
    `<30>${bsd} 3f4e5a6b7c8d[912]: msg`,
    { app: '3f4e5a6b7c8d', pid: '912', message: 'msg', docker: true },
  ],
  [
    'Docker rfc3164',
    `<30>${bsd} node1 3f4e5a6b7c8d[912]: a: b[1]: c`,
    { host: 'node1', app: '3f4e5a6b7c8d', pid: '912', message: 'a: b[1]: c' },
  ],
  [
    'Docker rfc5424',
    `<30>1 ${iso} node1 web 912 web - msg`,
    { host: 'node1', app: 'web', pid: '912', message: 'msg', docker: true },
  ],
  [
    'Docker rfc5424micro in UTC',
    `<27>1 2026-08-03T08:00:00.1Z node1 web 912 web - msg`,
    { host: 'node1', app: 'web', pid: '912', message: 'msg', docker: true },
  ],
  [
    'Docker rfc5424, all in the tag',
    `<30>1 ${micro} node1 ${v1} 912 ${v1} - msg`,
    { host: 'node1', app: v1, pid: '912', message: 'msg', docker: true },
  ],
  [
    'an older Docker, without structured data',
    `<30>1 ${iso} node1 web 912 web msg of it`,
    { host: 'node1', app: 'web', pid: '912', message: 'msg of it', docker: true },
  ],
  [
    'a tag with spaces, 5424',
    `<30>1 ${iso} node1 my web 1 912 my web 1 - msg`,
    { host: 'node1', app: 'my web 1', pid: '912', message: 'msg', docker: true },
  ],
  [
    'a tag with spaces, older',
    `<30>1 ${iso} node1 my web 912 my web msg`,
    { host: 'node1', app: 'my web', pid: '912', message: 'msg', docker: true },
  ],
  [
    'a tag with spaces, 3164',
    `<30>${bsd} node1 my web tag[912]: msg`,
    { host: 'node1', app: 'my web tag', pid: '912', message: 'msg' },
  ],
  [
    'a tag with colons, 3164',
    `<30>${bsd} node1 registry.corp:5000/web:1.4/web/3f4e5a6b7c8d[912]: msg`,
    { host: 'node1', app: 'registry.corp:5000/web:1.4/web/3f4e5a6b7c8d', pid: '912', message: 'msg' },
  ],
  [
    'a tag with colons, without a host',
    `<30>${bsd} web:1.4/web/3f4e5a6b7c8d[912]: msg`,
    { app: 'web:1.4/web/3f4e5a6b7c8d', pid: '912', message: 'msg', docker: true },
  ],
  [
    'a tag with all, without a host',
    `<30>${bsd} ${v1}[912]: msg`,
    { app: v1, pid: '912', message: 'msg', docker: true },
  ],
  ['an empty message', `<30>${bsd} node1 web[912]:`, { host: 'node1', app: 'web', pid: '912', message: '' }],
  [
    'rsyslog, traditional',
    `<38>${bsd} node1 sshd[812]: Accepted publickey`,
    { host: 'node1', app: 'sshd', pid: '812', message: 'Accepted publickey' },
  ],
  [
    'rsyslog, ForwardFormat',
    `<38>${micro} node1 sshd[812]: Accepted`,
    { host: 'node1', app: 'sshd', pid: '812', message: 'Accepted' },
  ],
  [
    'the kernel',
    `<6>${bsd} node1 kernel: [12.5] eth0: up`,
    { host: 'node1', app: 'kernel', message: '[12.5] eth0: up' },
  ],
  ['logger(1), locally', `<13>${bsd} root: hello`, { app: 'root', message: 'hello' }],
  [
    'logger(1), 5424',
    `<13>1 ${micro} node1 root - - [timeQuality tzKnown="1"] hello`,
    { host: 'node1', app: 'root', message: 'hello' },
  ],
  [
    'nginx',
    `<190>${bsd} web1 nginx: 10.0.0.1 - - [03/Aug/2026:10:00:00 +0200] "GET / HTTP/1.1"`,
    { host: 'web1', app: 'nginx', message: '10.0.0.1 - - [03/Aug/2026:10:00:00 +0200] "GET / HTTP/1.1"' },
  ],
  [
    'HAProxy',
    `<134>${bsd} haproxy[14389]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in`,
    { app: 'haproxy', pid: '14389', message: '10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in', docker: true },
  ],
  [
    'HAProxy, 5424',
    `<134>1 ${iso} lb1 haproxy 14389 - - 10.0.1.2:33317 http-in`,
    { host: 'lb1', app: 'haproxy', pid: '14389', message: '10.0.1.2:33317 http-in' },
  ],
  [
    'nginx, nohostname',
    `<187>${bsd} nginx: 2026/08/03 10:00:00 [error] 31#31: *1 open() failed`,
    { app: 'nginx', message: '2026/08/03 10:00:00 [error] 31#31: *1 open() failed' },
  ],
  [
    'syslog-ng, with fractions',
    '<13>Aug  3 10:00:00.123 node1 app[7]: hello',
    { host: 'node1', app: 'app', pid: '7', message: 'hello' },
  ],
  [
    'syslog-ng, ts-format(iso)',
    '<13>2026-08-03T10:00:00.123+02:00 node1 app[7]: hello',
    { host: 'node1', app: 'app', pid: '7', message: 'hello' },
  ],
  [
    'syslog-ng, 5424',
    `<13>1 ${micro} node1 app 7 - [timeQuality tzKnown="1"][meta sequenceId="1"] hello`,
    { host: 'node1', app: 'app', pid: '7', message: 'hello' },
  ],
  [
    'rsyslog, of itself',
    `<46>1 ${micro} node1 rsyslogd - - [origin software="rsyslogd" x-pid="1"] start`,
    { host: 'node1', app: 'rsyslogd', message: 'start' },
  ],
  ["Go's log/syslog", `<14>${iso} node1 /app[7]: hello`, { host: 'node1', app: '/app', pid: '7', message: 'hello' }],
  ["Go's log/syslog, locally", `<14>${bsd} app[7]: hello`, { app: 'app', pid: '7', message: 'hello', docker: true }],
  ["Go's srslog", `<14> ${iso} node1 app[7]: hello`, { host: 'node1', app: 'app', pid: '7', message: 'hello' }],
  ["Python's SysLogHandler", '<14>hello', { message: 'hello' }],
  ["Python's, with an ident", '<14>app: hello', { app: 'app', message: 'hello' }],
  [
    "Python's, with a formatter that has a time",
    '<14>2026-08-03 10:00:00,123 INFO root: hello',
    { message: 'INFO root: hello' },
  ],
  [
    'Logback',
    `<14>${bsd} node1 [main] com.corp.App hello: world`,
    { host: 'node1', message: '[main] com.corp.App hello: world' },
  ],
  [
    'Logback, of a stack trace',
    `<11>${bsd} node1 \tat com.corp.App.main(App.java:7)`,
    { host: 'node1', message: '\tat com.corp.App.main(App.java:7)' },
  ],
  [
    'Log4j, 5424',
    `<14>1 2026-08-03T10:00:00.123+02:00 node1 app 7 Audit [mdc@18060 user="a"] hello`,
    { host: 'node1', app: 'app', pid: '7', message: 'hello' },
  ],
  [
    'Logback, with its thread behind a name',
    `<14>${bsd} node1 app: [main] com.corp.App - hello`,
    { host: 'node1', app: 'app', message: '[main] com.corp.App - hello' },
  ],
  ['a year in the time', `<13>Aug  3 2026 10:00:00 fw1 app: x`, { host: 'fw1', app: 'app', message: 'x' }],
  ['no PRI', `${bsd} node1 app: x`, { host: 'node1', app: 'app', message: 'x' }],
  ['no time', '<13>app: hello', { app: 'app', message: 'hello' }],
  ['no time and no tag', '<13>hello big: world', { message: 'hello big: world' }],
  ['no tag', `<13>${bsd} -- MARK --`, { message: '-- MARK --' }],
  ['all nil', '<13>1 - - - - - - msg', { message: 'msg' }],
  ['a byte order mark', `<13>1 ${iso} node1 app - id - \ufeffmsg`, { host: 'node1', app: 'app', message: 'msg' }],
])('%s', (_, text, { host, app, pid, message, docker = false }) => {
  const line = parseSyslog(text);
  expect({ host: line.hostname, app: line.appname, pid: line.procid, message: text.slice(line.message) }).toEqual({
    host,
    app,
    pid,
    message,
  });
  expect(line.fromDocker).toBe(docker);
  expect(line.error).toBeUndefined();
});

const config = '%SYS-5-CONFIG_I: Configured from console by vty0 (10.0.0.1)';

test.each<[string, string, { host?: string; time?: string; year?: number; utc?: boolean; message?: string }]>([
  ['IOS, as it comes', `<189>29: ${config}`, {}],
  ['IOS with a time', `<189>29: Aug  3 10:00:00.123: ${config}`, { time: 'Aug  3 10:00:00.123' }],
  ['IOS whose clock is not set', `<189>000029: *Aug  3 10:00:00: ${config}`, { time: bsd }],
  ['IOS that lost its server of time', `<189>29: .Aug 13 10:00:00 CEST: ${config}`, { time: 'Aug 13 10:00:00' }],
  [
    'IOS with a year and a zone',
    `<189>29: Aug  3 2026 10:00:00.123 UTC: ${config}`,
    { time: 'Aug  3 2026 10:00:00.123', year: 2026, utc: true },
  ],
  ['IOS with a host', `<189>29: sw1.corp: Aug  3 10:00:00: ${config}`, { host: 'sw1.corp', time: bsd }],
  [
    'ASA',
    '<166>Aug 03 2026 10:00:00: %ASA-6-302013: Built outbound',
    { time: 'Aug 03 2026 10:00:00', year: 2026, message: '%ASA-6-302013: Built outbound' },
  ],
  [
    'ASA with a host',
    '<166>Aug 03 2026 10:00:00 fw1 : %ASA-6-302013: Built outbound',
    { host: 'fw1', time: 'Aug 03 2026 10:00:00', year: 2026, message: '%ASA-6-302013: Built outbound' },
  ],
  [
    'ASA, EMBLEM',
    '<166>:Aug 03 10:00:00 UTC: %ASA-session-6-302013: Built outbound',
    { time: 'Aug 03 10:00:00', utc: true, message: '%ASA-session-6-302013: Built outbound' },
  ],
  [
    'NX-OS',
    '<189>: 2026 Aug  3 10:00:00 UTC: %ETHPORT-5-IF_UP: Interface Ethernet1/1 is up',
    {
      time: '2026 Aug  3 10:00:00',
      year: 2026,
      utc: true,
      message: '%ETHPORT-5-IF_UP: Interface Ethernet1/1 is up',
    },
  ],
])('Cisco: %s', (_, text, { host, time, year, utc = false, message = config }) => {
  const { hostname, msgid, stamp, ...line } = parseSyslog(text);
  expect({ hostname, time: stamp && text.slice(stamp.start, stamp.end), year: stamp?.year }).toEqual({
    hostname: host,
    time,
    year,
  });
  expect(stamp?.offset).toBe(utc ? 0 : undefined);
  expect(text.slice(line.message)).toBe(message);
  expect(`%${msgid}`).toBe(message.split(':')[0]);
  expect(line).toMatchObject({ fromDocker: false });
  expect(line.error).toBeUndefined();
});

test.each<[string, string, { host?: string; node: string; time: string; zone?: number; app: string; pid: string }]>([
  [
    'with a host and a zone',
    '<189>1234: router RP/0/RSP0/CPU0:Mar  1 12:00:00.123 UTC: config[65742]: %MGBL-SYS-5-CONFIG_I : Configured',
    { host: 'router', node: 'RP/0/RSP0/CPU0', time: 'Mar  1 12:00:00.123', zone: 0, app: 'config', pid: '65742' },
  ],
  [
    'as it comes',
    '<187>12: LC/0/1/CPU0:Mar  1 12:00:00.123 : ifmgr[227]: %PKT_INFRA-LINK-3-UPDOWN : Interface Gi0/0/0/0, changed state to Down',
    { node: 'LC/0/1/CPU0', time: 'Mar  1 12:00:00.123', app: 'ifmgr', pid: '227' },
  ],
  [
    'with a year, and a zone that says nothing',
    '<189>7: core1.corp 0/RP0/ADMIN0:2026 Mar 11 12:00:00 CEST: SSHD_[65740]: %SECURITY-SSHD-6-INFO_SUCCESS : Accepted: x',
    { host: 'core1.corp', node: '0/RP0/ADMIN0', time: '2026 Mar 11 12:00:00', app: 'SSHD_', pid: '65740' },
  ],
])('Cisco IOS-XR, %s', (_, text, { host, node, time, zone, app, pid }) => {
  const { hostname, appname, procid, msgid, stamp, structuredData, message, error } = parseSyslog(text);
  expect({ hostname, appname, procid, error, time: stamp && text.slice(stamp.start, stamp.end) }).toEqual({
    hostname: host,
    appname: app,
    procid: pid,
    error: undefined,
    time,
  });
  expect(stamp?.offset).toBe(zone);
  expect(structuredData).toEqual({ cisco: { node } });
  expect(text.slice(message)).toBe(text.slice(text.indexOf('%')));
  expect(text).toContain(`: %${msgid} : `);
});

test.each([`<13>${bsd} node1 app: 100%: done`, '<13>cpu at 90%: %x: y', `<13>29: %lower-5-x: y`])(
  '%j is not of Cisco',
  (text) => expect(parseSyslog(text).msgid).toBeUndefined(),
);

test.each([
  ['hello world', 'hello world'],
  ['<192>hello', '<192>hello'],
  ['<>x', '<>x'],
  ['', ''],
])('%j does not parse, and is its own message', (text, message) => {
  const line = parseSyslog(text);
  expect(line.error).toMatch(/PRI/);
  expect(text.slice(line.message)).toBe(message);
});

test('structured data come with their escapes undone, and no name reaches a prototype', () => {
  const text = String.raw`<13>1 ${iso} h a - - [x@1 a="1\]\"\\\n" b=""][__proto__ polluted="yes"] m`;
  const { structuredData, message } = parseSyslog(text);
  expect(JSON.stringify(structuredData)).toBe(
    String.raw`{"x@1":{"a":"1]\"\\\\n","b":""},"__proto__":{"polluted":"yes"}}`,
  );
  expect(text.slice(message)).toBe('m');
  expect({}).not.toHaveProperty('polluted');
});

test('structured data that are not valid stay in the message, with the reason', () => {
  const text = `<13>1 ${iso} h a - - [x a=1] m`;
  const line = parseSyslog(text);
  expect(line.error).toMatch(/structured data/);
  expect(text.slice(line.message)).toBe('[x a=1] m');
});

const parts = [
  '<30>',
  '<13>',
  '1 ',
  `${iso} `,
  `${bsd} `,
  'node ',
  'a ',
  '12 ',
  '- ',
  '[12]: ',
  ': ',
  '[x a="b"] ',
  ']',
  '\ufeff',
  'é',
];
const lines = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.array(fc.constantFrom(...parts)).map((found) => found.join('')),
);

test('no text makes it throw', () => {
  fc.assert(fc.property(lines, (text) => void parseSyslog(text)));
});

test('a line read with the header of another is read as if alone', () => {
  const heads = [
    `<30>1 ${iso} node1 web 912 web - `,
    `<30>1 ${iso} node1 my web 912 my web - `,
    `<30>1 ${iso} node1 app - id - `,
    `<30>${bsd} node1 my web tag[912]: `,
    `<30>${bsd} node1 web: `,
    `<30>${bsd} 3f4e5a6b7c8d[912]: `,
    `${bsd} node1 web: `,
  ];
  for (const head of heads) {
    const last = parseSyslog(`${head}x`);
    expect(last.around, head).toBeDefined();
    fc.assert(
      fc.property(lines, (text) => {
        const place = { source: `<before>${head}${text}\nafter`, start: 8, end: 8 + head.length + text.length };
        const { around: _, ...again } = { ...last, ...readAgain(place, last, findStamp(place)) };
        const { around: _also, ...alone } = parseSyslog(head + text);
        expect(again).toEqual(alone);
      }),
    );
  }
});

test('a long hostile line takes no more than linear time', () => {
  for (const unit of [']: ', '[1]: ', ': ', '1 1 ', '[a b="', ' ']) {
    parseSyslog(`<30>${bsd} ${unit.repeat(300_000)}`);
    parseSyslog(`<30>1 ${iso} ${unit.repeat(300_000)}`);
  }
});
