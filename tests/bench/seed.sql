-- Eight users and 100,000 threads of one member each: thread-N has user N modulo 8.
INSERT INTO users (id, name, role, created_at)
  SELECT 'bench-' || value, 'Bench ' || value, 'user', 0 FROM generate_series(0, 7);
INSERT INTO threads (id, created_at)
  SELECT printf('thread-%06d', value), 0 FROM generate_series(0, 99999);
INSERT INTO thread_members (thread_id, user_id, role, created_at)
  SELECT printf('thread-%06d', value), 'bench-' || (value % 8), 'member', 0
  FROM generate_series(0, 99999);
