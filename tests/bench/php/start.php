<?php
/* The peer: POST calls/start as PHP-FPM and PDO would serve it, with what Switchboard does for a
 * request (token, claims, user, member, one open call a thread, call and event in one transaction,
 * a JSON log line) at the same durability: WAL, synchronous=FULL. Handed over by nginx:
 * BENCH_DB, BENCH_SECRET, BENCH_LOG; BENCH_LOCK, if set, is a file that writers queue at. */
declare(strict_types=1);

const CALL = "SELECT id, thread_id AS threadId, kind, started_by AS startedBy, started_at
    FROM calls WHERE thread_id = ? AND slot = ''";

$started = hrtime(true);
$trace = bin2hex(random_bytes(16));

function answer(int $status, array $members): never
{
    global $started, $trace;
    http_response_code($status);
    header('Content-Type: application/json');
    echo json_encode(['success' => $status < 300] + $members + ['traceId' => $trace],
        JSON_UNESCAPED_SLASHES);
    $line = ['ts' => rfc3339((int) (microtime(true) * 1000)), 'level' => 'info',
        'event' => 'request', 'endpoint' => 'calls/start', 'traceId' => $trace,
        'method' => $_SERVER['REQUEST_METHOD'], 'status' => $status,
        'durationUs' => intdiv(hrtime(true) - $started, 1000)];
    file_put_contents($_SERVER['BENCH_LOG'], json_encode($line) . "\n", FILE_APPEND);
    exit;
}

function fail(int $status, string $code): never
{
    answer($status, ['error' => ['code' => $code, 'message' => $code]]);
}

function rfc3339(int $ms): string
{
    return gmdate('Y-m-d\TH:i:s', intdiv($ms, 1000)) . sprintf('.%03dZ', $ms % 1000);
}

function base64url(string $text): string
{
    $bytes = base64_decode(strtr($text, '-_', '+/'), true);
    return $bytes === false ? fail(401, 'unauthenticated') : $bytes;
}

/* The token's subject: HS256, exp, nbf and iat with 5 s of skew. */
function subject(): string
{
    $parts = explode('.', substr($_SERVER['HTTP_AUTHORIZATION'] ?? '', 7));
    if (count($parts) !== 3) {
        fail(401, 'unauthenticated');
    }
    $header = json_decode(base64url($parts[0]), true, 8);
    $mac = hash_hmac('sha256', "$parts[0].$parts[1]", $_SERVER['BENCH_SECRET'], true);
    if (($header['alg'] ?? null) !== 'HS256' || !hash_equals($mac, base64url($parts[2]))) {
        fail(401, 'unauthenticated');
    }
    $claims = json_decode(base64url($parts[1]), true, 8);
    $now = time();
    if (!is_string($claims['sub'] ?? null) || !is_int($claims['exp'] ?? null)
        || $claims['exp'] + 5 <= $now || ($claims['nbf'] ?? 0) > $now + 5
        || ($claims['iat'] ?? 0) > $now + 5) {
        fail(401, 'unauthenticated');
    }
    return $claims['sub'];
}

function input(): array
{
    $input = json_decode(file_get_contents('php://input'), true, 32);
    if (!is_array($input) || count($input) !== 2
        || !preg_match('/^[A-Za-z0-9_-]{1,64}$/D', $input['threadId'] ?? '')
        || !in_array($input['kind'] ?? null, ['audio', 'video'], true)) {
        fail(400, 'validation_failed');
    }
    return $input;
}

function database(): PDO
{
    $db = new PDO('sqlite:' . $_SERVER['BENCH_DB'], null, null, [
        PDO::ATTR_PERSISTENT => true,
        PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
        PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_ASSOC,
    ]);
    $db->exec('PRAGMA busy_timeout = 20000; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON');
    return $db;
}

function row(PDO $db, string $sql, array $values): array|false
{
    $statement = $db->prepare($sql);
    $statement->execute($values);
    $row = $statement->fetch();
    $statement->closeCursor();
    return $row;
}

/* As Switchboard's: the time first, so that the tree of calls grows at its end. */
function make_id(string $prefix, int $ms): string
{
    return $prefix . sprintf('%012x', $ms) . bin2hex(random_bytes(10));
}

/* In the transaction: the open call of the thread, or a new one. */
function start(PDO $db, array $input, string $user): array
{
    if (!row($db, 'SELECT role FROM thread_members WHERE thread_id = ? AND user_id = ?',
        [$input['threadId'], $user])) {
        return [404, null];
    }
    $now = (int) (microtime(true) * 1000);
    $call = ['id' => make_id('call_', $now), 'threadId' => $input['threadId'],
        'kind' => $input['kind'], 'startedBy' => $user, 'started_at' => $now];
    $insert = $db->prepare("INSERT INTO calls (id, thread_id, slot, kind, room, started_by,
        started_at) VALUES (?, ?, '', ?, ?, ?, ?) ON CONFLICT (thread_id, slot) DO NOTHING");
    $insert->execute([$call['id'], $call['threadId'], $call['kind'], make_id('', $now), $user,
        $now]);
    if ($insert->rowCount() === 0) {
        return [200, row($db, CALL, [$input['threadId']])];
    }
    $db->prepare('INSERT INTO call_events (thread_id, call_id, type, user_id, at)
        VALUES (?, ?, ?, ?, ?)')->execute([$call['threadId'], $call['id'], 'started', $user, $now]);
    return [201, $call];
}

$user = subject();
$input = input();
try {
    $db = database();
    $known = row($db, 'SELECT disabled_at FROM users WHERE id = ?', [$user]);
    if (!$known || $known['disabled_at'] !== null) {
        fail(403, 'forbidden');
    }
    if (isset($_SERVER['BENCH_LOCK'])) {
        $lock = fopen($_SERVER['BENCH_LOCK'], 'c');
        flock($lock, LOCK_EX);
    }
    $db->exec('BEGIN IMMEDIATE');
    try {
        [$status, $call] = start($db, $input, $user);
        $db->exec('COMMIT');
    } catch (PDOException $exception) {
        $db->exec('ROLLBACK');
        throw $exception;
    } finally {
        if (isset($lock)) {
            fclose($lock);
        }
    }
} catch (PDOException $exception) {
    error_log($exception->getMessage());
    fail(503, 'unavailable');
}
if ($status === 404) {
    fail(404, 'not_found');
}
$call['startedAt'] = rfc3339($call['started_at']);
unset($call['started_at']);
answer($status, ['call' => $call + ['endedAt' => null, 'durationSeconds' => null,
    'endReason' => null], 'created' => $status === 201]);
