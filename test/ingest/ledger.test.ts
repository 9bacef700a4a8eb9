import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { emptyLedger, openPastLedger } from '../../ingest/spool/ledger.ts';

test('a directory counts once, also while it goes from those that are there to those that are gone', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'shiplog-test-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  using past = openPastLedger(join(folder, 'ledger.db'));
  using other = openPastLedger(join(folder, 'ledger.db'));
  const one = { ...emptyLedger(), committedBytes: 10, readRecords: 1 };
  const two = { ...emptyLedger(), committedBytes: 200, readRecords: 20 };
  const both = { committedBytes: 210, readRecords: 21 };
  expect(past.totalWith({ one, two })).toMatchObject(both);
  // What was asked of it before it went is still at hand.
  other.add('one', one);
  expect(past.totalWith({ one, two })).toMatchObject(both);
  expect(past.totalWith({ two })).toMatchObject(both);
  expect(past.total).toMatchObject({ committedBytes: 10, readRecords: 1 });
});
