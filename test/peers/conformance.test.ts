import { beforeAll, describe, expect, test } from 'vitest';
import { conformance, conformanceSuite } from './support/conformance.ts';
import { startShiplog } from './support/shiplog.ts';

beforeAll(conformanceSuite);

describe.each(['1.1', 'dev'] as const)('of version %s', (version) => {
  test.each(['open', 'htpasswd'] as const)('the whole suite passes on disk, %s', async (users) => {
    await using shiplog = await startShiplog(users);
    const { failures, ...counts } = await conformance(shiplog.host, version, users);
    const { passed, failed, skipped, disabled } = counts;
    const line = `${passed} passed, ${failed} failed, ${skipped} skipped, ${disabled} disabled`;
    console.log(`conformance ${version} disk ${users}: ${line}`);
    expect(failures).toEqual([]);
    expect(counts).toMatchObject({ failed: 0, skipped: 0, disabled: 0 });
    expect(passed).toBeGreaterThan(800);
  });
});
