/** Adds up vitest's JSON reports into one line, under what failed. A report that is absent, ran no test, or skipped one is a failure. */
import { readFileSync } from 'node:fs';

let passed = 0;
let failed = 0;
for (const path of process.argv.slice(2)) {
  try {
    const report = JSON.parse(readFileSync(path, 'utf8'));
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, success } = report;
    for (const { name, status, message, assertionResults } of report.testResults) {
      const failures = assertionResults.filter((test: { status: string }) => test.status !== 'passed');
      if (status !== 'passed' && failures.length === 0) console.log(`failed: ${name}\n${message}`);
      for (const { fullName, status, failureMessages } of failures) {
        console.log(`${status}: ${name} > ${fullName}\n${failureMessages.join('\n')}`);
      }
    }
    passed += numPassedTests;
    failed += numFailedTests + numPendingTests + numTodoTests;
    if ((!success && numFailedTests === 0) || numPassedTests === 0) failed += 1;
  } catch (error) {
    console.log(`no report: ${String(error)}`);
    failed += 1;
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
