import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { analyze } from './support/systemd.ts';

const unit = 'shiplog.service';

/** A setting of the unit; each value that stands there. */
async function setting(name: string): Promise<string[]> {
  const text = await readFile(resolve(import.meta.dirname, '../../deploy', unit), 'utf8');
  return [...text.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value = '']) => value);
}

test('systemd takes the unit, and has nothing to say of it', async () => {
  expect(await analyze(unit, 'verify', '--man=no')).toBe('');
});

test('it is exposed to little: of 10, where 10 is everything, at most 1.5', async () => {
  expect(await analyze(unit, 'security', '--offline=true', '--threshold=15', '--no-pager')).toMatch(
    /Overall exposure level for shiplog\.service: \d\.\d OK/,
  );
});

test('its environment is a configuration, and it is not killed before its grace is over', async () => {
  const env = Object.fromEntries(
    (await setting('Environment')).map((line) => line.split('=')).map(([name, value]) => [name, value]),
  );
  expect(env['SHIPLOG_DATA']).toBe('/var/lib/shiplog');
  const { http } = loadConfig({ env: { SHIPLOG_DATA: env['SHIPLOG_DATA'] } });
  const [timeout] = await setting('TimeoutStopSec');
  expect(Number(timeout) * 1000).toBeGreaterThan(http.shutdown_grace);
});
