WITH RECURSIVE
a AS (SELECT * FROM experiment WHERE name = :a),
b AS (SELECT * FROM experiment WHERE name = :b),
line (side, steps, name, parent) AS (
  SELECT 'a', 0, name, parent FROM a
  UNION ALL
  SELECT 'b', 0, name, parent FROM b
  UNION ALL
  SELECT side, steps + 1, e.name, e.parent FROM line JOIN experiment e ON e.name = line.parent
),
ancestor AS (
  SELECT mine.name, mine.steps AS a, other.steps AS b
  FROM line mine JOIN line other ON other.name = mine.name
  WHERE mine.side = 'a' AND other.side = 'b'
  ORDER BY mine.steps
  LIMIT 1
),
edited AS (
  SELECT 'component' AS kind, component AS what, name
  FROM trial JOIN experiment ON id = experiment WHERE name IN (:a, :b)
  UNION
  SELECT 'knob', knob, name
  FROM trial JOIN experiment ON id = experiment WHERE name IN (:a, :b)
),
fact (kind, what, a, b) AS (
  SELECT 'campaign', 'campaign', a.campaign, b.campaign FROM a, b
  UNION ALL SELECT 'campaign', 'metric', a.metric, b.metric FROM a, b
  UNION ALL
  SELECT kind, what, MAX(CASE WHEN name = :a THEN 1 END), MAX(CASE WHEN name = :b THEN 1 END)
  FROM edited GROUP BY kind, what
  UNION ALL SELECT 'lineage', 'parent', a.parent, b.parent FROM a, b
  UNION ALL SELECT 'lineage', 'common ancestor', name, name FROM ancestor
  UNION ALL SELECT 'lineage', 'steps since', a, b FROM ancestor
  UNION ALL SELECT 'outcome', 'status', a.status, b.status FROM a, b
  UNION ALL SELECT 'outcome', 'outcome', a.outcome, b.outcome FROM a, b
  UNION ALL SELECT 'outcome', 'value', a.value, b.value FROM a, b
  UNION ALL
  SELECT 'setting', knob, MAX(CASE WHEN experiment = a.id THEN setting.value END),
    MAX(CASE WHEN experiment = b.id THEN setting.value END)
  FROM a, b, setting WHERE experiment IN (a.id, b.id) GROUP BY knob
)
SELECT kind, what, a, b, a IS b AS shared
FROM fact
WHERE COALESCE(a, b) IS NOT NULL
ORDER BY shared, kind, what
