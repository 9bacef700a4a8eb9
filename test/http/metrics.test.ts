import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { startTestService } from '../support/service.ts';

test('the labels of requests are bounded, whatever is asked for', async () => {
  await using service = await startTestService();
  for (let n = 0; n < 20; n += 1) {
    await service.send(`/v2/team/app${n}/manifests/latest`);
    await service.send(`/nothing/${n}`);
    await service.send(`/v2/`, { method: ['GET', 'PUT', 'BREW'][n % 2] ?? 'GET' });
  }
  const page = await service.send('/metrics');
  expect(page.headers['content-type']).toMatch(/^text\/plain; version=/);
  const routes = [
    ...page.text.matchAll(/shiplog_http_request_duration_seconds_count\{route="([^"]*)",code="(\d+)"\} (\d+)/g),
  ];
  expect(routes.map(([, route, code]) => `${code} ${route}`).toSorted()).toEqual([
    '200 /v2{/}',
    '404 /v2/*name/manifests/:reference',
    '404 none',
    '405 none',
  ]);
  expect(routes.reduce((sum, [, , , count]) => sum + Number(count), 0)).toBe(60);
  expect(page.text).toContain('process_cpu_seconds_total');
});

test('every answer of the registry names its version, also a refusal', async () => {
  await using service = await startTestService();
  for (const [path, headers] of [
    ['/v2/', {}],
    ['/v2/nothing', {}],
    ['/v2/', { forwarded: 'for=1' }],
  ] as const) {
    const answer = await service.send(path, { headers });
    expect(answer.headers['docker-distribution-api-version'], path).toBe('registry/2.0');
  }
  expect((await service.send('/health/live')).headers['docker-distribution-api-version']).toBeUndefined();
});

test('the pipeline is measured when it is asked for', async () => {
  await using service = await startTestService();
  const read = async (): Promise<string> =>
    (await service.send('/metrics')).text
      .split('\n')
      .filter((line) => /^shiplog_(?!http)/.test(line))
      .join('\n');
  await read();
  expect(await read()).toMatchInlineSnapshot(`
    "shiplog_render_failures_total{part="parse"} 14
    shiplog_render_failures_total{part="lookup"} 15
    shiplog_log_rule_records_total{rule="a rule"} 27
    shiplog_sink_deliveries_total{outcome="taken"} 17
    shiplog_sink_deliveries_total{outcome="failed"} 18
    shiplog_sink_records_total{event="retried"} 19
    shiplog_sink_records_total{event="possibly_duplicate"} 22
    shiplog_dead_letters_total{event="added"} 23
    shiplog_dead_letters_total{event="removed"} 24
    shiplog_dead_letters_total{event="dropped"} 25
    shiplog_syslog_tcp_total{event="connections"} 13
    shiplog_spool_size_bytes 12
    shiplog_spool_full 0
    shiplog_spool_quarantine_bytes 30
    shiplog_log_held_lines 28
    shiplog_log_held_bytes 29
    shiplog_dead_letters_bytes 26
    shiplog_log_lag_seconds 16
    shiplog_sink_deliveries_under_way 21
    shiplog_sink_deliveries_at_once 20
    shiplog_sink_up 1
    shiplog_spool_bytes_total{state="committed"} 1
    shiplog_spool_bytes_total{state="read"} 2
    shiplog_spool_bytes_total{state="unread"} 3
    shiplog_spool_bytes_total{state="dropped"} 4
    shiplog_spool_bytes_total{state="quarantined"} 5
    shiplog_log_records_total{outcome="read"} 6
    shiplog_log_records_total{outcome="indexed"} 7
    shiplog_log_records_total{outcome="failure_store"} 8
    shiplog_log_records_total{outcome="dead_lettered"} 9
    shiplog_log_records_total{outcome="dropped"} 10
    shiplog_log_records_total{outcome="in_flight"} 11
    shiplog_workers 1
    shiplog_worker_deaths_total 0"
  `);
  service.pipeline.full = true;
  service.pipeline.trouble = { code: 'unavailable', reason: 'away', since: 0 };
  const text = await read();
  expect(text).toContain('shiplog_spool_full 1');
  expect(text).toContain('shiplog_sink_up 0');
});

test('the dashboard for Grafana names only what there is, with labels that there are', async () => {
  await using service = await startTestService();
  await service.send('/metrics');
  const { text } = await service.send('/metrics');
  const samples = text.split('\n').filter((line) => /^\w/.test(line));
  const dashboard: { panels: { targets: { expr: string }[] }[] } = JSON.parse(
    await readFile(resolve(import.meta.dirname, '../../grafana/shiplog.json'), 'utf8'),
  );
  const expressions = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
  const named = (name: string): string[] => samples.filter((line) => new RegExp(`^${name}[{ ]`).test(line));
  for (const expression of expressions) {
    const names = expression
      .matchAll(/__name__=~"([^"]+)"|(?<!")\b(shiplog_\w+)\b/g)
      .map(([, many, one]) => many ?? one ?? '');
    for (const name of names) expect(named(name), expression).not.toEqual([]);
    for (const [, name = '', label] of expression.matchAll(/(\w+)\{[^}]*\b(\w+)="/g)) {
      expect(named(name).join('\n'), expression).toContain(`${label}="`);
    }
    for (const [, label] of expression.matchAll(/\b(outcome|state|event|part|rule|route|code)\b/g)) {
      expect(samples.join('\n')).toContain(`${label}="`);
    }
  }
  // And the other way round: each metric of the logs and workers is in it.
  const whole = expressions.join('\n');
  const metrics = new Set(samples.map((line) => /^\w+/.exec(line)?.[0] ?? ''));
  const missing = [...metrics].filter(
    (name) => /^shiplog_(log|spool|sink|dead|render|worker)/.test(name) && !whole.includes(name),
  );
  expect(missing).toEqual([]);
});

test('it is ready as long as the spool takes logs, also while the sink is away', async () => {
  await using service = await startTestService();
  const ready = async (): Promise<[number, string]> => {
    const answer = await service.send('/health/ready');
    return [answer.status, answer.text];
  };
  expect(await ready()).toEqual([200, '{"status":"ok","parts":{"images":"ok","logs":"ok"}}']);
  service.pipeline.trouble = { code: 'unavailable', reason: 'away', since: 0 };
  expect(await ready()).toEqual([200, expect.stringContaining('the sink takes nothing: away')]);
  service.pipeline.full = true;
  expect(await ready()).toEqual([503, expect.stringContaining('the spool is full')]);
});
